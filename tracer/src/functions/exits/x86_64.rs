//! Machine code of x86-64.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// See [`super::exits`]. A jump by a pointer in memory leaves, unless it is an entry of a table that is
/// looked up by an index: a `switch`.
pub(super) fn exits(code: &[u8], start: u64, is_own: impl Fn(u64) -> bool) -> Vec<u64> {
    let decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let leaves = decoder
        .into_iter()
        .filter(|instruction| leaves(instruction, &is_own));
    leaves.map(|instruction| instruction.ip()).collect()
}

fn leaves(instruction: &Instruction, is_own: impl Fn(u64) -> bool) -> bool {
    match instruction.flow_control() {
        FlowControl::Return => matches!(instruction.mnemonic(), Mnemonic::Ret),
        FlowControl::UnconditionalBranch => !is_own(instruction.near_branch_target()),
        FlowControl::IndirectBranch => {
            instruction.op0_kind() == OpKind::Memory && instruction.memory_index() == Register::None
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::exits;

    #[test]
    fn returns_and_jumps_to_others_leave() {
        let code = [
            0x74, 0x02, // 0: je 4
            0xeb, 0x01, // 2: jmp 5, inside
            0xc3, // 4: ret
            0xff, 0x24, 0xc5, 0, 0, 0, 0, // 5: jmp [rax * 8], a switch
            0xff, 0x60, 0x18, // 12: jmp [rax + 0x18], by a table of methods
            0xff, 0xe0, // 15: jmp rax, a switch or not
            0xe9, 0x00, 0x01, 0x00, 0x00, // 17: jmp 0x116, another function
            0xf3, 0xc3, // 22: rep ret
            0xc2, 0x08, 0x00, // 24: ret 8
        ];
        let at = 0x1000;
        let is_own = |address| (at..at + code.len() as u64).contains(&address);
        let found = exits(&code, at, is_own);
        let offsets: Vec<u64> = found.into_iter().map(|address| address - at).collect();
        assert_eq!(offsets, [4, 12, 17, 22, 24]);
    }
}
