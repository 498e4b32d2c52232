// Self-attention at every neuron over the edges that touch it (B.2), forward and backward, in float32.
//
// The arrays are those of Hypernetwork.attention: heads (batch, 6 D, sides, edges), result (batch, 2 D, sides, edges).
// A neuron has some tens of tokens of D = 5 numbers, far too small for matrix products. Instead 16 neurons (of any
// batch index and side) share a vector, one neuron per lane, and every lane does a plain attention of its own. Nothing
// is ever summed across lanes. Tokens are first packed as [token][feature][lane].
//
// Compiled with -DHEAD_SIZE=D by attention.py. Do not compile with -ffast-math: NaN must stay NaN.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace {

constexpr int D = HEAD_SIZE;
constexpr int LANES = 16;
constexpr int STATISTICS = 2;  // per token: largest logit (base 2) and 1 / sum of exp2(logit - largest)
constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147181f;
const float ROOT = 1 / std::sqrt(float(D));

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

// 2^x for x <= 0, relative error below 2e-7, exactly 1 at 0, 0 below -127, NaN at NaN.
inline Vector exp2_of(Vector x) {
    // Adding 1.5 * 2^23 rounds to a whole number n and leaves it in the low bits, here together with the bias 127 of
    // an exponent; shifted left by 23 these bits are 2^n, or 0 for n = -127.
    constexpr float magic = 12582912.0f + 127.0f;
    x = x < -127.0f ? Vector{} - 127.0f : x;
    const Vector shifted = x + magic;
    const Vector f = x - (shifted - magic);
    const Vector power = (Vector)((Integers)shifted << 23);
    // Least largest relative error on [-1/2, 1/2] among polynomials of degree 5 that are 1 at 0.
    Vector p = 0.00132647273f * f + 0.00967151299f;
    p = p * f + 0.0555073358f;
    p = p * f + 0.240222424f;
    p = p * f + 0.693147004f;
    p = p * f + 1.0f;
    return p * power;
}

// --- packing ---------------------------------------------------------------------------------------------------------

// The edges on one side of all neurons of a level: token t of neuron n is edge first + t * token + n * lane.
struct Segment {
    int64_t first, tokens, token, lane;
    int side;  // 0: these neurons are in front of the edges, 1: behind them
};

struct Array {
    float* data;
    int64_t batch_stride, row_stride, side_stride;
};

struct Lane {
    int64_t batch, side, neuron;
};

template <int BLOCK, int... K>
inline void exchange(Vector& a, Vector& b, std::integer_sequence<int, K...>) {
#if defined(__clang__)
    const Vector low = __builtin_shufflevector(a, b, (K & BLOCK ? LANES + (K ^ BLOCK) : K)...);
    const Vector high = __builtin_shufflevector(a, b, (K & BLOCK ? LANES + K : K ^ BLOCK)...);
#else
    const Vector low = __builtin_shuffle(a, b, Integers{(K & BLOCK ? LANES + (K ^ BLOCK) : K)...});
    const Vector high = __builtin_shuffle(a, b, Integers{(K & BLOCK ? LANES + K : K ^ BLOCK)...});
#endif
    a = low;
    b = high;
}

template <int BLOCK>
inline void transpose(Vector (&rows)[LANES]) {
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        if (!(i & BLOCK)) exchange<BLOCK>(rows[i], rows[i | BLOCK], std::make_integer_sequence<int, LANES>{});
    if constexpr (BLOCK > 1) transpose<BLOCK / 2>(rows);
}

// Copies `features` rows of an array, from row `row` on, to or from packed tokens that are `stride` vectors apart.
template <bool PACK>
void copy(const Array& array, int64_t row, int features, const Segment& segment, const Lane* lanes, int used,
          Vector* packed, int stride) {
    int64_t at[LANES];
    bool adjacent = used == LANES;
    for (int k = 0; k < used; k++) {
        at[k] = lanes[k].batch * array.batch_stride + lanes[k].side * array.side_stride + lanes[k].neuron * segment.lane;
        adjacent = adjacent && at[k] == at[0] + k;
    }
    for (int f = 0; f < features; f++) {
        float* const source = array.data + (row + f) * array.row_stride + segment.first;
        int64_t t = 0;
        if (used == LANES && !adjacent && segment.token == 1) {
            for (; t + LANES <= segment.tokens; t += LANES) {
                Vector rows[LANES];
                for (int k = 0; k < LANES; k++)
                    if (PACK) std::memcpy(&rows[k], source + at[k] + t, sizeof(Vector));
                    else rows[k] = packed[(t + k) * stride + f];
                transpose<LANES / 2>(rows);
                for (int k = 0; k < LANES; k++)
                    if (PACK) packed[(t + k) * stride + f] = rows[k];
                    else std::memcpy(source + at[k] + t, &rows[k], sizeof(Vector));
            }
        }
        for (; t < segment.tokens; t++) {
            float* const token = source + t * segment.token;
            float* const vector = (float*)(packed + t * stride + f);
            if (adjacent) {
                if (PACK) std::memcpy(vector, token + at[0], sizeof(Vector));
                else std::memcpy(token + at[0], vector, sizeof(Vector));
            } else {
                for (int k = 0; k < used; k++)
                    if (PACK) vector[k] = token[at[k]];
                    else token[at[k]] = vector[k];
                if (PACK) std::fill(vector + used, vector + LANES, 0.0f);
            }
        }
    }
}

// --- attention of R queries at a time --------------------------------------------------------------------------------

inline Vector dot(const Vector* a, const Vector* b) {
    Vector sum = a[0] * b[0];
#pragma GCC unroll 64
    for (int d = 1; d < D; d++) sum = a[d] * b[d] + sum;
    return sum;
}

template <int R>
void attend(const Vector* tokens, int64_t count, int64_t first, Vector* logits, Vector* result, Vector* statistics) {
    Vector query[R][D], largest[R];
    for (int r = 0; r < R; r++)
        for (int d = 0; d < D; d++) query[r][d] = tokens[(first + r) * 3 * D + d] * (LOG2_E * ROOT);
    for (int r = 0; r < R; r++) largest[r] = dot(query[r], tokens + D);
    for (int64_t j = 0; j < count; j++) {
        const Vector* key = tokens + j * 3 * D + D;
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const Vector logit = dot(query[r], key);
            logits[j * R + r] = logit;
            largest[r] = logit > largest[r] ? logit : largest[r];
        }
    }
    Vector sum[R] = {}, mixed[R][D] = {};
    for (int64_t j = 0; j < count; j++) {
        const Vector* value = tokens + j * 3 * D + 2 * D;
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const Vector weight = exp2_of(logits[j * R + r] - largest[r]);
            sum[r] += weight;
#pragma GCC unroll 64
            for (int d = 0; d < D; d++) mixed[r][d] += weight * value[d];
        }
    }
    for (int r = 0; r < R; r++) {
        const Vector inverse = 1.0f / sum[r];
        for (int d = 0; d < D; d++) result[(first + r) * D + d] = mixed[r][d] * inverse;
        statistics[(first + r) * STATISTICS] = largest[r];
        statistics[(first + r) * STATISTICS + 1] = inverse;
    }
}

// Adds to the gradients of all keys and values; sets those of the R queries.
template <int R>
void attend_backward(const Vector* tokens, int64_t count, int64_t first, const Vector* result, const Vector* slope,
                     const Vector* statistics, Vector* gradient) {
    // With w = exp2(logit - largest) and s = 1 / sum: the gradient of a value is sum_i w (s slope_i), and that of a
    // logit w ((s slope) . value - (s slope) . result). Folding s into slope keeps it out of the loop over pairs.
    Vector query[R][D], largest[R], scaled[R][D], offset[R], to_query[R][D] = {};
    for (int r = 0; r < R; r++) {
        for (int d = 0; d < D; d++) {
            query[r][d] = tokens[(first + r) * 3 * D + d] * (LOG2_E * ROOT);
            scaled[r][d] = slope[(first + r) * D + d] * statistics[(first + r) * STATISTICS + 1];
        }
        largest[r] = statistics[(first + r) * STATISTICS];
        offset[r] = dot(scaled[r], result + (first + r) * D);
    }
    for (int64_t j = 0; j < count; j++) {
        const Vector *key = tokens + j * 3 * D + D, *value = key + D;
        Vector* to_key = gradient + j * 3 * D + D;
        Vector* to_value = to_key + D;
        Vector weight[R], to_logit[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            weight[r] = exp2_of(dot(query[r], key) - largest[r]);
            to_logit[r] = weight[r] * (dot(scaled[r], value) - offset[r]);
        }
#pragma GCC unroll 64
        for (int d = 0; d < D; d++) {
            Vector k = to_key[d], v = to_value[d];
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                to_query[r][d] += to_logit[r] * key[d];
                k += to_logit[r] * query[r][d];
                v += weight[r] * scaled[r][d];
            }
            to_key[d] = k;
            to_value[d] = v;
        }
    }
    for (int r = 0; r < R; r++)
        for (int d = 0; d < D; d++) gradient[(first + r) * 3 * D + d] = to_query[r][d] * ROOT;
}

// --- all neurons -----------------------------------------------------------------------------------------------------

// Scratch memory of one thread, kept between calls: fresh pages would cost more than the arithmetic.
struct Scratch {
    void* memory = nullptr;
    size_t size = 0;
    ~Scratch() { std::free(memory); }
    Vector* vectors(int64_t count) {
        const size_t needed = count * sizeof(Vector);
        if (needed > size) {
            std::free(memory);
            memory = std::aligned_alloc(sizeof(Vector), needed);
            size = memory ? needed : 0;
        }
        return (Vector*)memory;
    }
};
thread_local Scratch scratch;

// Calls work(lanes, used, segments, number of segments, tokens per neuron) for every group of up to 16 neurons.
template <class Work>
void for_groups(const int64_t* shape, int64_t levels, int64_t batch, int64_t sides, Work work) {
    int64_t before = 0, edge = 0;  // first edges of the layers in front of and behind the level
    for (int64_t level = 0; level < levels; level++) {
        const int64_t neurons = shape[level];
        Segment segments[2];
        int count = 0;
        if (level > 0) segments[count++] = {before, shape[level - 1], neurons, 1, 0};
        if (level + 1 < levels) segments[count++] = {edge, shape[level + 1], 1, shape[level + 1], 1};
        int64_t tokens = 0;
        for (int s = 0; s < count; s++) tokens += segments[s].tokens;
        const int64_t all = batch * sides * neurons;
        for (int64_t start = 0; start < all; start += LANES) {
            const int used = int(std::min<int64_t>(LANES, all - start));
            Lane lanes[LANES];
            for (int k = 0; k < used; k++) {
                const int64_t slice = (start + k) / neurons;
                lanes[k] = {slice / sides, slice % sides, (start + k) % neurons};
            }
            work(lanes, used, segments, count, tokens);
        }
        before = edge;
        if (level + 1 < levels) edge += neurons * shape[level + 1];
    }
}

constexpr int QUERIES = 2;  // at a time; more would not fit into 32 registers

}  // namespace

// Both return 0, or 1 when memory ran out. heads and slope may have any batch stride; the rest is contiguous.
extern "C" int attention(const float* heads, int64_t heads_stride, float* result, float* statistics,
                         const int64_t* shape, int64_t levels, int64_t batch, int64_t sides, int64_t edges) {
    const int64_t row = sides * edges;
    const Array from{const_cast<float*>(heads), heads_stride, row, edges}, to{result, 2 * D * row, row, edges},
        kept{statistics, 2 * STATISTICS * row, row, edges};
    bool failed = false;
    for_groups(shape, levels, batch, sides, [&](const Lane* lanes, int used, const Segment* segments, int count,
                                                int64_t tokens) {
        Vector* const packed = scratch.vectors(tokens * (4 * D + STATISTICS + QUERIES));
        if ((failed = failed || !packed)) return;
        Vector *const mixed = packed + tokens * 3 * D, *const stats = mixed + tokens * D;
        Vector* const logits = stats + tokens * STATISTICS;
        int64_t t = 0;
        for (int s = 0; s < count; t += segments[s++].tokens)
            copy<true>(from, segments[s].side * 3 * D, 3 * D, segments[s], lanes, used, packed + t * 3 * D, 3 * D);
        int64_t i = 0;
        for (; i + QUERIES <= tokens; i += QUERIES) attend<QUERIES>(packed, tokens, i, logits, mixed, stats);
        for (; i < tokens; i++) attend<1>(packed, tokens, i, logits, mixed, stats);
        t = 0;
        for (int s = 0; s < count; t += segments[s++].tokens) {
            copy<false>(to, segments[s].side * D, D, segments[s], lanes, used, mixed + t * D, D);
            copy<false>(kept, segments[s].side * STATISTICS, STATISTICS, segments[s], lanes, used, stats + t * STATISTICS,
                        STATISTICS);
        }
    });
    return failed;
}

extern "C" int attention_backward(const float* slope, int64_t slope_stride, const float* heads, int64_t heads_stride,
                                  const float* result, const float* statistics, float* gradient, const int64_t* shape,
                                  int64_t levels, int64_t batch, int64_t sides, int64_t edges) {
    const int64_t row = sides * edges;
    const Array from{const_cast<float*>(heads), heads_stride, row, edges},
        slopes{const_cast<float*>(slope), slope_stride, row, edges},
        results{const_cast<float*>(result), 2 * D * row, row, edges},
        kept{const_cast<float*>(statistics), 2 * STATISTICS * row, row, edges}, to{gradient, 6 * D * row, row, edges};
    bool failed = false;
    for_groups(shape, levels, batch, sides, [&](const Lane* lanes, int used, const Segment* segments, int count,
                                                int64_t tokens) {
        Vector* const packed = scratch.vectors(tokens * (8 * D + STATISTICS));
        if ((failed = failed || !packed)) return;
        Vector *const mixed = packed + tokens * 3 * D, *const sloped = mixed + tokens * D;
        Vector *const stats = sloped + tokens * D, *const found = stats + tokens * STATISTICS;
        int64_t t = 0;
        for (int s = 0; s < count; t += segments[s++].tokens) {
            const Segment& segment = segments[s];
            copy<true>(from, segment.side * 3 * D, 3 * D, segment, lanes, used, packed + t * 3 * D, 3 * D);
            copy<true>(results, segment.side * D, D, segment, lanes, used, mixed + t * D, D);
            copy<true>(slopes, segment.side * D, D, segment, lanes, used, sloped + t * D, D);
            copy<true>(kept, segment.side * STATISTICS, STATISTICS, segment, lanes, used, stats + t * STATISTICS,
                       STATISTICS);
        }
        std::fill(found, found + tokens * 3 * D, Vector{});
        int64_t i = 0;
        for (; i + QUERIES <= tokens; i += QUERIES)
            attend_backward<QUERIES>(packed, tokens, i, mixed, sloped, stats, found);
        for (; i < tokens; i++) attend_backward<1>(packed, tokens, i, mixed, sloped, stats, found);
        for (int64_t j = 0; j < tokens; j++)  // the queries in there were in base 2
            for (int d = 0; d < D; d++) found[j * 3 * D + D + d] *= LN_2;
        t = 0;
        for (int s = 0; s < count; t += segments[s++].tokens)
            copy<false>(to, segments[s].side * 3 * D, 3 * D, segments[s], lanes, used, found + t * 3 * D, 3 * D);
    });
    return failed;
}
