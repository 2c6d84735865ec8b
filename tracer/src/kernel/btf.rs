//! A reader of BTF, the kernel's type information: offsets of fields, sizes, tracepoints,
//! functions. Knows the format (`include/uapi/linux/btf.h`) and nothing of memtrace.

use std::collections::HashMap;

/// Why a blob is not BTF that we can read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the kernel's type information (BTF) cannot be read: {0}")]
pub struct BtfError(&'static str);

const MAGIC: u16 = 0xEB9F;
const HEADER_BYTES: usize = 24;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// A kernel's types.
pub struct Btf {
    bytes: Vec<u8>,
    /// Where each type begins; type ids count from 1.
    types: Vec<u32>,
    strings: usize,
    named: HashMap<(u32, String), u32>,
}

impl Btf {
    /// Reads a blob such as `/sys/kernel/btf/vmlinux`, indexing what bears one of `names`.
    ///
    /// # Errors
    ///
    /// [`BtfError`] if it is not BTF in this machine's byte order, is cut off, or has a kind of
    /// type that is not known.
    pub fn parse<'a>(
        bytes: Vec<u8>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, BtfError> {
        let word = |at: usize| word(&bytes, at).ok_or(BtfError("it is cut off"));
        if bytes.len() < HEADER_BYTES || u16::from_ne_bytes([bytes[0], bytes[1]]) != MAGIC {
            return Err(BtfError("it does not begin as BTF does"));
        }
        let header = word(4)? as usize;
        let first = header + word(8)? as usize;
        let end = first + word(12)? as usize;
        let strings = header + word(16)? as usize;
        let mut btf = Self {
            types: Vec::new(),
            strings,
            named: HashMap::new(),
            bytes: Vec::new(),
        };
        let wanted: std::collections::HashSet<&str> = names.into_iter().collect();
        let mut at = first;
        while at < end {
            let info = word(at + 4)?;
            let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            btf.types
                .push(u32::try_from(at).map_err(|_| BtfError("it is too large"))?);
            if matches!(kind, kind::STRUCT | kind::TYPEDEF | kind::FUNC | kind::ENUM) {
                let name = string(&bytes, strings + word(at)? as usize);
                if wanted.contains(name) {
                    let id = btf.types.len() as u32;
                    btf.named.entry((kind, name.to_owned())).or_insert(id);
                }
            }
            at += 12
                + match kind {
                    kind::INT | kind::VAR | kind::DECL_TAG => 4,
                    kind::ARRAY => 12,
                    kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * count,
                    kind::ENUM | kind::FUNC_PROTO => 8 * count,
                    kind::PTR
                    | kind::FWD
                    | kind::TYPEDEF
                    | kind::VOLATILE
                    | kind::CONST
                    | kind::RESTRICT
                    | kind::FUNC
                    | kind::FLOAT
                    | kind::TYPE_TAG => 0,
                    _ => {
                        return Err(BtfError(
                            "it has a kind of type that this version does not know",
                        ));
                    }
                };
        }
        btf.bytes = bytes;
        Ok(btf)
    }

    fn word(&self, at: usize) -> u32 {
        word(&self.bytes, at).unwrap_or(0)
    }

    fn start(&self, id: u32) -> Option<usize> {
        self.types
            .get((id as usize).checked_sub(1)?)
            .map(|at| *at as usize)
    }

    fn kind_of(&self, id: u32) -> Option<u32> {
        self.start(id).map(|at| (self.word(at + 4) >> 24) & 0x1f)
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..32 {
            match self.kind_of(id)? {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {
                    id = self.word(self.start(id)? + 8)
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn members(&self, id: u32) -> Option<impl Iterator<Item = (&str, u32, u64)>> {
        let at = self.start(id)?;
        let info = self.word(at + 4);
        // With the flag, the upper byte of an offset is the width of a bit field.
        let mask = if info >> 31 == 1 { 0xff_ffff } else { u32::MAX };
        Some((0..(info & 0xffff) as usize).map(move |index| {
            let member = at + 12 + 12 * index;
            (
                string(&self.bytes, self.strings + self.word(member) as usize),
                self.word(member + 4),
                u64::from(self.word(member + 8) & mask) / 8,
            )
        }))
    }

    /// Byte offset and type of a member, looking into unnamed structs and unions.
    fn member(&self, structure: u32, name: &str) -> Option<(u64, u32)> {
        for (member, kind, offset) in self.members(structure)? {
            if member == name {
                return Some((offset, kind));
            }
            if member.is_empty() {
                let inner = self.resolve(kind)?;
                if matches!(self.kind_of(inner), Some(kind::STRUCT | kind::UNION))
                    && let Some((deeper, kind)) = self.member(inner, name)
                {
                    return Some((offset + deeper, kind));
                }
            }
        }
        None
    }

    /// Byte offset of a field; `None` if the struct or the field is not there.
    pub fn offset(&self, structure: &str, field: &str) -> Option<u64> {
        let id = *self.named.get(&(kind::STRUCT, structure.to_owned()))?;
        self.member(id, field).map(|(offset, _)| offset)
    }

    /// Size of a struct in bytes.
    pub fn size(&self, structure: &str) -> Option<u64> {
        let id = *self.named.get(&(kind::STRUCT, structure.to_owned()))?;
        Some(u64::from(self.word(self.start(id)? + 8)))
    }

    /// Struct name and length of a field that is an array of structs.
    pub fn array_of(&self, structure: &str, field: &str) -> Option<(String, u32)> {
        let id = *self.named.get(&(kind::STRUCT, structure.to_owned()))?;
        let array = self.resolve(self.member(id, field)?.1)?;
        if self.kind_of(array)? != kind::ARRAY {
            return None;
        }
        let at = self.start(array)?;
        let element = self.start(self.resolve(self.word(at + 12))?)?;
        let name = string(&self.bytes, self.strings + self.word(element) as usize);
        Some((name.to_owned(), self.word(at + 20)))
    }

    /// Type id of a BTF tracepoint and the number of arguments that it hands to a program; `None`
    /// if there is none of this name.
    pub fn tracepoint(&self, name: &str) -> Option<(u32, u32)> {
        let id = *self
            .named
            .get(&(kind::TYPEDEF, format!("btf_trace_{name}")))?;
        let pointer = self.word(self.start(id)? + 8);
        let function = self.word(self.start(pointer)? + 8);
        if self.kind_of(function)? != kind::FUNC_PROTO {
            return None;
        }
        // The first parameter is the tracepoint's own `void *`.
        let parameters = self.word(self.start(function)? + 4) & 0xffff;
        Some((id, parameters.checked_sub(1)?))
    }

    /// Value of an enumerator; `None` if there is no such enum or name.
    pub fn enumerator(&self, of: &str, name: &str) -> Option<u64> {
        let id = *self.named.get(&(kind::ENUM, of.to_owned()))?;
        let at = self.start(id)?;
        let count = (self.word(at + 4) & 0xffff) as usize;
        let mut enumerators = (0..count).map(|index| at + 12 + 8 * index);
        let found = enumerators.find(|at| {
            let string_at = self.strings + self.word(*at) as usize;
            string(&self.bytes, string_at) == name
        });
        found.map(|at| u64::from(self.word(at + 4)))
    }

    /// Type id of a struct; `None` if there is none of this name.
    pub fn structure(&self, name: &str) -> Option<u32> {
        self.named.get(&(kind::STRUCT, name.to_owned())).copied()
    }

    /// Whether there is a typedef of this name.
    pub fn has_typedef(&self, name: &str) -> bool {
        self.named.contains_key(&(kind::TYPEDEF, name.to_owned()))
    }

    /// Type id of a function; `None` if there is none of this name.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.named.get(&(kind::FUNC, name.to_owned())).copied()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn string(bytes: &[u8], at: usize) -> &str {
    let tail = bytes.get(at..).unwrap_or_default();
    let end = tail.iter().position(|byte| *byte == 0).unwrap_or(0);
    std::str::from_utf8(&tail[..end]).unwrap_or_default()
}
