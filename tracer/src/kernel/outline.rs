//! The outline of a kernel's type information: the numbers of a few types and nothing else. aya
//! looks up there what programs attach to; reading all types for that costs it tens of
//! milliseconds and megabytes.

/// Kind of a type, as BTF numbers it (`include/uapi/linux/btf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// `BTF_KIND_FWD`, in place of what is left out.
    Declaration = 7,
    /// `BTF_KIND_TYPEDEF`: a tracepoint.
    Typedef = 8,
    /// `BTF_KIND_FUNC`.
    Function = 12,
}

/// A type that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its number in the kernel.
    pub id: u32,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

const MAGIC: u32 = 0xEB9F;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 24;

/// BTF in which `types` have the numbers and names that they have in the kernel.
pub fn outline(mut types: Vec<Named>) -> Vec<u8> {
    types.sort_by_key(|named| named.id);
    // Offset 0 is the empty name.
    let mut strings = vec![0];
    let mut words = Vec::new();
    // Numbers count from 1; a type here is three words: its name, its kind, what it refers to.
    let mut next_id = 1;
    for Named { id, kind, name } in types {
        while next_id < id {
            words.extend([0, (Kind::Declaration as u32) << 24, 0]);
            next_id += 1;
        }
        words.extend([strings.len() as u32, (kind as u32) << 24, 0]);
        next_id += 1;
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let type_bytes = size_of::<u32>() as u32 * words.len() as u32;
    let header = [
        MAGIC | VERSION << 16,
        HEADER_BYTES,
        0,
        type_bytes,
        type_bytes,
        strings.len() as u32,
    ];
    let words = header.into_iter().chain(words);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
    bytes.extend(strings);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Kind, Named, outline};
    use crate::kernel::btf::Btf;

    #[test]
    fn types_keep_their_numbers() {
        let named = |id, kind, name: &str| Named {
            id,
            kind,
            name: name.to_owned(),
        };
        let names = ["bpf_iter_task", "handle_mm_fault", "btf_trace_rss_stat"];
        let [task, fault, trace] = names;
        let bytes = outline(vec![
            named(9, Kind::Function, task),
            named(3, Kind::Typedef, trace),
            named(10, Kind::Function, fault),
        ]);
        let btf = Btf::parse(bytes, names).unwrap();
        assert_eq!(btf.function(task), Some(9));
        assert_eq!(btf.function(fault), Some(10));
        assert_eq!(btf.function(trace), None);
        assert!(btf.has_typedef(trace));
    }
}
