//! Names of functions in a symbol table, as people write them, and where each function is.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, path::Path};

use object::{Object as _, ObjectSymbol as _, SymbolKind};

use super::FindError;

/// Names that are offered for one that is not there.
const NEAR: usize = 3;
/// How alike a name must be to be offered, of 1.
const ALIKE: f64 = 0.75;

/// Where the function is: its beginning and the rest of it, and then what the compiler moved away
/// as rarely needed.
pub(super) fn parts(
    object: &object::File<'_>,
    function: &str,
    path: &Path,
) -> Result<Vec<Range<u64>>, FindError> {
    let (path, function) = (path.to_owned(), function.to_owned());
    let symbols = object.symbols().chain(object.dynamic_symbols());
    let mut is_named = false;
    let mut found: BTreeMap<u64, (Range<u64>, &str, String)> = BTreeMap::new();
    let mut near: Vec<(f64, String)> = Vec::new();
    for symbol in symbols.filter(|symbol| !symbol.is_undefined()) {
        let Ok(name) = symbol.name() else { continue };
        if is_indirect(&symbol) && name == function {
            return Err(FindError::Indirect { path, function });
        }
        if symbol.kind() != SymbolKind::Text {
            continue;
        }
        is_named = true;
        let full = full_name(name);
        if name == function || is_it(&full, &function) {
            let (start, bytes) = (symbol.address(), symbol.size());
            found
                .entry(start)
                .or_insert_with(|| (start..start.saturating_add(bytes), name, full.into_owned()));
        } else {
            let alike = strsim::jaro_winkler(short(&full), short(&function));
            if alike >= ALIKE {
                near.push((alike, full.into_owned()));
            }
        }
    }
    if let Some((_, (main, name, _))) = found.first_key_value().filter(|_| found.len() == 1) {
        let cold = format!("{name}.cold");
        let mut parts = vec![main.clone()];
        parts.extend(object.symbols().filter_map(|symbol| {
            let is_it = symbol.name().is_ok_and(|name| name == cold) && symbol.size() > 0;
            is_it.then(|| symbol.address()..symbol.address().saturating_add(symbol.size()))
        }));
        return Ok(parts);
    }
    if !is_named {
        return Err(FindError::Stripped { path });
    }
    if found.is_empty() {
        near.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        near.dedup_by(|one, other| one.1 == other.1);
        let names: Vec<String> = near.into_iter().take(NEAR).map(|(_, name)| name).collect();
        let near = match names.is_empty() {
            true if is_interpreter(&path) => String::from(
                ": functions of a script have no machine code. Mark its phases in it, as \
                 docs/phases.md shows for Python",
            ),
            true => {
                let file = path.display();
                format!(". List what it has with: nm -C {file}; nm -DC {file}")
            }
            false => format!(". It has {}", names.join(", ")),
        };
        return Err(FindError::NoSuch {
            path,
            function,
            near,
        });
    }
    let names = found.into_values().map(|(_, _, full)| full);
    let names: Vec<String> = names.take(NEAR).collect();
    Err(FindError::Several {
        path,
        function,
        names: names.join(", "),
    })
}

/// A program that runs scripts, by its name.
fn is_interpreter(path: &Path) -> bool {
    const NAMES: [&str; 7] = ["python", "ruby", "perl", "node", "java", "Rscript", "php"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    NAMES.iter().any(|known| name.starts_with(known))
}

fn is_indirect(symbol: &object::Symbol<'_, '_>) -> bool {
    const STT_GNU_IFUNC: u8 = 10;
    matches!(symbol.flags(), object::SymbolFlags::Elf { st_info, .. } if st_info & 0xf == STT_GNU_IFUNC)
}

/// The name as people write it.
fn full_name(name: &str) -> Cow<'_, str> {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}").into();
    }
    let cpp = cpp_demangle::Symbol::new(name).ok();
    let cpp = cpp.filter(|_| name.starts_with("_Z"));
    match cpp.and_then(|symbol| symbol.demangle().ok()) {
        Some(full) => full.into(),
        None => name.into(),
    }
}

/// A full name without the parameters.
fn short(full: &str) -> &str {
    full.split('(').next().unwrap_or(full)
}

/// `function` is the whole name, or the end of it, with or without parameters.
fn is_it(full: &str, function: &str) -> bool {
    let ends = |name: &str| {
        let before = name.strip_suffix(function);
        before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
    };
    ends(full) || ends(short(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_people_write_them() {
        assert!(is_it("ns::T::run(int, char)", "run"));
        assert!(is_it("ns::T::run(int, char)", "T::run"));
        assert!(is_it("ns::T::run(int, char)", "run(int, char)"));
        assert!(!is_it("ns::T::rerun(int)", "run"));
        assert_eq!(full_name("_ZN2ns3fooEi"), "ns::foo(int)");
        assert_eq!(full_name("_ZN3abc3def17h05af221e174051e9E"), "abc::def");
        assert_eq!(full_name("plain"), "plain");
    }
}
