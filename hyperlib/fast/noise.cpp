// Standard normal numbers of training: what noise.normals computes in plain PyTorch, see there.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

// As in attention.cpp: the compiler's own vectors, one counter per lane.
constexpr int LANES = 16, ROUNDS = 10;
constexpr uint32_t STREAM = 1;
typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint64_t Wide __attribute__((vector_size(8 * LANES)));

inline void multiply(uint32_t factor, Words x, Words& high, Words& low) {
    const Wide product = __builtin_convertvector(x, Wide) * uint64_t(factor);
    high = __builtin_convertvector(product >> 32, Words);
    low = x * factor;
}

inline Vector root(Vector x) {
    for (int i = 0; i < LANES; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
}

// sqrt(-2 ln u) for u in (0, 1], relative error of the logarithm below 2e-7.
inline Vector radius_of(Vector u) {
    // u = m 2^e with m in [sqrt(1/2), sqrt(2))
    const Integers e = ((Integers)u - 0x3f3504f3) >> 23;
    const Vector m = (Vector)((Integers)u - (e << 23));
    const Vector s = (m - 1) / (m + 1), z = s * s;
    // ln m = 2 artanh s
    const Vector p = ((0.2222222f * z + 0.28571430f) * z + 0.4f) * z + 0.66666667f;
    const Vector square = -2 * (2 * s + s * z * p + __builtin_convertvector(e, Vector) * 0.693147181f);
    return root(square < 0 ? Vector{} : square);
}

// Box and Muller's two normals from two words.
inline void transform(Words first, Words second, Vector& one, Vector& two) {
    const Vector radius = radius_of(__builtin_convertvector((first >> 8) + 1, Vector) * 0x1p-24f);
    // a quarter turn q and an angle a within an eighth of a turn of it
    const Integers turn = (Integers)(second >> 8), q = (turn + 0x200000) >> 22;
    const Vector a = __builtin_convertvector(turn - (q << 22), Vector) * (6.28318531f * 0x1p-24f), z = a * a;
    const Vector sine = a + a * z * ((-1.9515296e-4f * z + 8.3321609e-3f) * z - 1.6666655e-1f);
    const Vector cosine = 1 - 0.5f * z + z * z * ((2.4433157e-5f * z - 1.3887316e-3f) * z + 4.1666646e-2f);
    const Vector x = (q & 1) != 0 ? -sine : cosine, y = (q & 1) != 0 ? cosine : sine;
    one = radius * ((q & 2) != 0 ? -x : x);
    two = radius * ((q & 2) != 0 ? -y : y);
}

}  // namespace

// Fills out (seeds, count); normal `part` of the four of counter i is number part ceil(count / 4) + i.
extern "C" void normals(const int64_t* seeds, int64_t number, int64_t step, int64_t count, float* out) {
    const int64_t quarter = (count + 3) / 4;
    Words lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    for (int64_t row = 0; row < number; row++, out += count)
        for (int64_t start = 0; start < quarter; start += LANES) {
            uint32_t k0 = uint32_t(seeds[row]), k1 = uint32_t(uint64_t(seeds[row]) >> 32);
            Words c0 = lane + uint32_t(start), c1 = Words{} + uint32_t(step), c2 = {}, c3 = Words{} + STREAM;
            for (int round = 0; round < ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
                Words high0, low0, high1, low1;
                multiply(0xD2511F53u, c0, high0, low0);
                multiply(0xCD9E8D57u, c2, high1, low1);
                c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
            }
            Vector z[4];
            transform(c0, c1, z[0], z[1]);
            transform(c2, c3, z[2], z[3]);
            for (int part = 0; part < 4; part++) {
                const int64_t at = part * quarter + start, room = count - at, used = quarter - start;
                const int64_t kept = room < used ? room : used;
                if (kept >= LANES) std::memcpy(out + at, &z[part], sizeof(Vector));
                else if (kept > 0) std::memcpy(out + at, &z[part], sizeof(float) * kept);
            }
        }
}
