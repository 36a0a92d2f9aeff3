//! Reproducible random numbers: SplitMix64 from a seed.

use std::cell::Cell;

/// Draws numbers.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `from..=to`.
    pub(crate) fn within(&self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// True with a probability of `in_thousand` per thousand.
    pub(crate) fn chance(&self, in_thousand: u64) -> bool {
        self.next() % 1_000 < in_thousand
    }

    /// An element of `some`.
    pub(crate) fn pick<'a, T>(&self, some: &'a [T]) -> &'a T {
        let place = self.next() % u64::try_from(some.len()).expect("few");
        &some[usize::try_from(place).expect("few")]
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}
