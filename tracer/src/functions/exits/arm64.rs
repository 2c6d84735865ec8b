//! Machine code of arm64.

/// Bytes of every instruction.
const BYTES: u64 = 4;

/// See [`super::exits`]. A jump to an address in a register (`br`) is a `switch` or not: it is not
/// taken for an exit.
pub(super) fn exits(code: &[u8], start: u64, is_own: impl Fn(u64) -> bool) -> Vec<u64> {
    let (words, _) = code.as_chunks();
    let instructions = (start..).step_by(BYTES as usize).zip(words);
    let leaves = instructions.filter(|(address, word)| {
        let word = u32::from_le_bytes(**word);
        is_return(word) || branch(word, *address).is_some_and(|target| !is_own(target))
    });
    leaves.map(|(address, _)| address).collect()
}

/// `ret` to the address in any register, `retaa` or `retab` (Arm ARM, C6.2).
fn is_return(word: u32) -> bool {
    const RET: u32 = 0xd65f_0000;
    const ANY_REGISTER: u32 = 0x1f << 5;
    const RETAA: u32 = 0xd65f_0bff;
    const RETAB: u32 = 0xd65f_0fff;
    word & !ANY_REGISTER == RET || word == RETAA || word == RETAB
}

/// Where `b` goes: 26 bits of instructions, forward or back.
fn branch(word: u32, address: u64) -> Option<u64> {
    const B: u32 = 0b000101;
    if word >> 26 != B {
        return None;
    }
    let instructions = i64::from((word << 6).cast_signed() >> 6);
    Some(address.wrapping_add_signed(instructions * BYTES as i64))
}

#[cfg(test)]
mod tests {
    use super::exits;

    #[test]
    fn returns_and_jumps_to_others_leave() {
        let code: [u32; 12] = [
            0xd503_245f, // 0: bti c
            0x5400_0040, // 4: b.eq 12
            0x1400_0002, // 8: b 16, inside
            0xd65f_03c0, // 12: ret
            0x17ff_ffff, // 16: b 12, inside
            0x9400_0040, // 20: bl 276, a call
            0xd61f_0200, // 24: br x16, a switch or not
            0x1400_0040, // 28: b 284, another function
            0x17ff_fff0, // 32: b -32, another one before it
            0xd65f_0bff, // 36: retaa
            0xd65f_0200, // 40: ret x16
            0xd63f_0200, // 44: blr x16, a call
        ];
        let at = 0x1000;
        let is_own = |address| (at..at + 48).contains(&address);
        let bytes = code.map(u32::to_le_bytes).concat();
        let offsets: Vec<u64> = exits(&bytes, at, is_own)
            .into_iter()
            .map(|address| address - at)
            .collect();
        assert_eq!(offsets, [12, 28, 32, 36, 40]);
    }
}
