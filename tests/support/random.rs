//! Chance that can be had again: one seed, one sequence (`splitmix64`).

use std::ops::RangeInclusive;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `range`, which is small beside 2^64, so that the bias of a remainder does not show.
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let width = (range.end() - range.start() + 1) as u64;
        range.start() + (self.next() % width) as usize
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.within(1..=100) <= chance
    }

    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.within(0..=among.len() - 1)].clone()
    }
}
