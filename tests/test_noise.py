"""The random numbers of training: Philox's published values, moments, and the same stream in C++."""

import pytest
import torch

from hyperlib.fast import noise as kernel
from hyperlib.noise import normals, philox


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (0xFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ],
)
def test_philox_gives_the_published_values(word, expected):
    """Known answers of the Random123 distribution for counter and key of equal words."""
    words = torch.full((1,), word)
    assert tuple(int(value) for value in philox((words,) * 4, (words,) * 2)) == expected


def test_numbers_are_standard_normal_and_independent_between_seeds_and_steps():
    z = torch.cat([normals(torch.tensor([3, 4]), torch.tensor([step]), 50_001, torch.float64) for step in (1, 2)])
    count = z.shape[1]
    assert count == 50_001
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        spread = {1: 1, 2: 2, 3: 15, 4: 96}[power] ** 0.5 / count**0.5
        assert (z.pow(power).mean(1) - moment).abs().max() < 5 * spread, power
    correlation = torch.corrcoef(torch.cat([z, z.roll(1, 1)])) - torch.eye(8)
    assert correlation.abs().max() < 5 / count**0.5
    assert float(z.abs().max()) < 6


def test_distinct_seeds_and_steps_share_no_number():
    seeds = torch.tensor([0, 1, 2**32, 2**32 + 1])
    drawn = torch.cat([normals(seeds, torch.tensor([step]), 64, torch.float64) for step in (1, 2, 3)])
    assert len(drawn.unique()) == drawn.numel()


@pytest.mark.parametrize("count", [1, 3, 63, 64, 65, 4099])
def test_the_kernel_fills_in_the_numbers_of_plain_torch(count):
    seeds, out = torch.tensor([0, 7, 2**40 + 3]), torch.full((3, count), torch.nan)
    if not kernel.usable(out):
        pytest.skip("no C++ compiler")
    kernel.fill(out, seeds, 12_345)
    expected = normals(seeds, torch.tensor([12_345.0]), count, torch.float64)
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-6)


def test_the_kernel_stays_inside_its_rows():
    whole = torch.full((2, 50), torch.nan)
    if not kernel.usable(whole):
        pytest.skip("no C++ compiler")
    kernel.fill(whole[:1], torch.tensor([1]), 1)
    assert whole[0].isfinite().all() and whole[1].isnan().all()
    assert not kernel.usable(whole.double()) and not kernel.usable(whole.T)
