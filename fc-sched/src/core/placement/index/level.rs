//! Rounds room, so that nodes with about the same share a cell.

use super::{Dim, Room};

/// Levels of vCPU and of memory.
pub(super) const LEVELS: usize = 128;

/// Levels of disk.
pub(super) const DISK_LEVELS: usize = 64;

/// A level of each quantity.
pub(super) type Levels = [u8; 3];

/// How a quantity is divided: level 0 is all below 2^`first`; from there on each doubling has
/// 2^`bits` levels of equal width; the last level has no end.
struct Scale {
    first: u32,
    bits: u32,
    levels: usize,
}

/// vCPU in thousand-and-twenty-fourths, so that 0.5, 1, 2, … are the lowest of their levels: from 1/32
/// in steps of an eighth or less, up to 1 900 vCPU. Memory from 128 MB, the smallest instance's,
/// likewise, up to 7 TB. Disk from 512 MB in steps of a fourth or less, up to 28 TB.
const SCALES: [Scale; 3] = [
    Scale { first: 5, bits: 3, levels: LEVELS },
    Scale { first: 7, bits: 3, levels: LEVELS },
    Scale { first: 9, bits: 2, levels: DISK_LEVELS },
];

/// The level of `value`. More is never at a lower level.
#[inline]
pub(super) fn level(dim: Dim, value: u32) -> u8 {
    let Scale { first, bits, levels } = SCALES[dim as usize];
    let value = match dim {
        Dim::Cpu => u64::from(value) * 128 / 125,
        Dim::Memory | Dim::Disk => u64::from(value),
    };
    let Some(power) = value.checked_ilog2().filter(|power| *power >= first) else {
        return 0;
    };
    let step = (value >> (power - bits)) as u32 & ((1 << bits) - 1);
    (((power - first) << bits) + step + 1).min(levels as u32 - 1) as u8
}

#[inline]
pub(super) fn levels(room: &Room) -> Levels {
    Dim::ALL.map(|dim| level(dim, dim.of(room)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_never_lower_and_a_level_is_no_wider_than_is_said() {
        for (dim, part) in [(Dim::Cpu, 8), (Dim::Memory, 8), (Dim::Disk, 4)] {
            let first = 1u32 << SCALES[dim as usize].first;
            let (mut lowest, mut before) = (0, 0);
            for value in 0..40_000 {
                let at = level(dim, value);
                assert!(at == before || at == before + 1, "{dim:?} {value}");
                if at != before {
                    (lowest, before) = (value, at);
                }
                assert!(
                    value < first || value - lowest < lowest.div_ceil(part) + 1,
                    "{dim:?} {value}"
                );
            }
            let tops = [u32::MAX >> 1, u32::MAX].map(|value| usize::from(level(dim, value)));
            assert_eq!(tops, [SCALES[dim as usize].levels - 1; 2]);
        }
    }

    #[test]
    fn the_usual_sizes_are_the_lowest_of_their_level() {
        let usual = [
            (Dim::Cpu, &[250, 500, 1_000, 2_000, 4_000, 8_000, 16_000][..]),
            (Dim::Memory, &[128, 256, 512, 1_024, 2_048, 3_072, 4_096, 8_192, 32_768]),
            (Dim::Disk, &[512, 10_240]),
        ];
        for (dim, values) in usual {
            for value in values {
                assert!(level(dim, *value) > level(dim, value - 1), "{dim:?} {value}");
            }
        }
    }
}
