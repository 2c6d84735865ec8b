//! The programs' stack, from the object alone: what calls each other must fit together into what a
//! kernel gives a program (`check_max_stack_depth`, verifier.c). A newer kernel gives each function
//! its own and would not notice. Knows the instructions of BPF as far as they name the stack.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use object::{
    Object, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, SectionKind, SymbolKind,
    read::elf::{ElfFile64, ElfSymbol64},
};

/// `MAX_BPF_STACK`, bytes.
const STACK_BYTES: u64 = 512;
/// `MAX_CALL_FRAMES`.
const CALLS: usize = 8;
/// Older verifiers count frames in steps of so many bytes (`round_up` there).
const FRAME_STEP: u64 = 32;

const INSTRUCTION_BYTES: usize = 8;
/// `BPF_CALL`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_CALL`: in place of the source register, for a function of the object.
const OWN_FUNCTION: u8 = 1;
/// `BPF_LD | BPF_IMM | BPF_DW`, which a callback is taken by.
const LOAD_WIDE: u8 = 0x18;
/// `BPF_ALU64 | BPF_MOV | BPF_X` and `BPF_ALU64 | BPF_ADD | BPF_K`: together an address in the frame.
const MOVE: u8 = 0xbf;
const ADD: u8 = 0x07;
/// `BPF_REG_10`: the frame's upper end.
const FRAME: u8 = 10;

/// A section's number and an offset in it.
type Place = (usize, u64);

/// A function of the object.
struct Function {
    name: String,
    frame: u64,
    calls: Vec<Place>,
}

/// One instruction.
struct Instruction {
    code: u8,
    to: u8,
    from: u8,
    offset: i16,
    number: i32,
}

impl Instruction {
    fn new(bytes: &[u8]) -> Self {
        Self {
            code: bytes[0],
            to: bytes[1] & 0xF,
            from: bytes[1] >> 4,
            offset: i16::from_le_bytes([bytes[2], bytes[3]]),
            number: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }

    /// It calls a function of the object.
    fn is_call(&self) -> bool {
        self.code == CALL && self.from == OWN_FUNCTION
    }

    /// From itself to what it calls, bytes: its number counts instructions from the next one.
    fn distance(&self) -> i64 {
        (i64::from(self.number) + 1) * INSTRUCTION_BYTES as i64
    }

    /// Where it reads or writes by a register and an offset, and that register is the frame's.
    fn in_frame(&self) -> Option<i16> {
        let base = match self.code & 0x7 {
            // `BPF_LDX`
            1 => self.from,
            // `BPF_ST`, `BPF_STX`
            2 | 3 => self.to,
            _ => return None,
        };
        (base == FRAME).then_some(self.offset)
    }
}

/// How far down a function reaches below the upper end of its frame, bytes.
fn frame(code: &[Instruction]) -> u64 {
    let direct = code.iter().filter_map(Instruction::in_frame).map(i32::from);
    let addresses = code.windows(2).filter_map(|pair| {
        let [copy, add] = pair else { return None };
        let is_address =
            copy.code == MOVE && copy.from == FRAME && add.code == ADD && add.to == copy.to;
        is_address.then_some(add.number)
    });
    let lowest = direct.chain(addresses).min().unwrap_or(0);
    u64::from(lowest.min(0).unsigned_abs())
}

/// The function of the object that an instruction names by a symbol, if it is one.
fn named_function(
    file: &ElfFile64,
    instruction: &Instruction,
    symbol: &ElfSymbol64,
) -> Option<Place> {
    let within = match (instruction.code, symbol.kind()) {
        (_, SymbolKind::Text) => 0,
        (CALL, SymbolKind::Section) => instruction.distance(),
        (LOAD_WIDE, SymbolKind::Section) => i64::from(instruction.number),
        _ => return None,
    };
    let index = symbol.section_index()?;
    let section = file.section_by_index(index).expect("a section");
    (section.kind() == SectionKind::Text)
        .then(|| (index.0, symbol.address().wrapping_add_signed(within)))
}

/// All functions, by place.
fn functions(file: &ElfFile64) -> BTreeMap<Place, Function> {
    let mut functions = BTreeMap::new();
    for symbol in file.symbols().filter(|one| one.kind() == SymbolKind::Text) {
        let section = symbol.section_index().expect("a section");
        let place = (section.0, symbol.address());
        let section = file.section_by_index(section).expect("a section");
        let data = section.data().expect("code");
        let within = symbol.address()..symbol.address() + symbol.size();
        let code: Vec<_> = data[within.start as usize..within.end as usize]
            .chunks_exact(INSTRUCTION_BYTES)
            .map(Instruction::new)
            .collect();
        let named: HashMap<_, _> = section.relocations().collect();
        let calls = code.iter().enumerate().filter_map(|(index, instruction)| {
            let offset = within.start + (index * INSTRUCTION_BYTES) as u64;
            match named.get(&offset).map(Relocation::target) {
                Some(RelocationTarget::Symbol(symbol)) => {
                    let symbol = file.symbol_by_index(symbol).expect("a symbol");
                    named_function(file, instruction, &symbol)
                }
                _ if instruction.is_call() => {
                    Some((place.0, offset.wrapping_add_signed(instruction.distance())))
                }
                _ => None,
            }
        });
        functions.insert(
            place,
            Function {
                name: symbol.name().expect("a name").to_owned(),
                frame: frame(&code),
                calls: calls.collect(),
            },
        );
    }
    functions
}

/// The chain of calls from a function that takes most of the stack, and how much.
fn deepest(functions: &BTreeMap<Place, Function>, from: Place) -> (u64, Vec<&str>) {
    let function = &functions[&from];
    let (below, mut chain) = function
        .calls
        .iter()
        .map(|callee| deepest(functions, *callee))
        .max()
        .unwrap_or_default();
    chain.insert(0, &function.name);
    (
        function.frame.max(1).next_multiple_of(FRAME_STEP) + below,
        chain,
    )
}

#[test]
fn every_chain_of_calls_fits_into_the_stack() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf/memtrace.bpf.o");
    let bytes = fs::read(path).expect("the object");
    let file = ElfFile64::parse(&*bytes).expect("an ELF file");
    let functions = functions(&file);
    // Else instructions have not been understood: everything saves something, and a marker is
    // answered by functions that call others.
    let longest = functions.keys().map(|place| deepest(&functions, *place).1);
    assert!(longest.map(|chain| chain.len()).max() >= Some(5));
    for place in functions.keys() {
        let (bytes, chain) = deepest(&functions, *place);
        let chain: Vec<_> = chain
            .into_iter()
            .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
            .collect();
        let chain = chain.join(" > ");
        assert!(bytes <= STACK_BYTES, "{bytes} bytes: {chain}");
        assert!(chain.matches(" > ").count() < CALLS, "{chain}");
    }
}
