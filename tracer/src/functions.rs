//! Functions that the user makes phases: found by name in the symbol tables of programs and
//! libraries. Reads files, attaches nothing.

mod exits;
mod symbols;

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
};

use object::{Object as _, ObjectSegment as _};

/// Where libraries lie that are named without a path.
const LIBRARIES: [&str; 7] = [
    DEBIANS.0,
    DEBIANS.1,
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
];

/// Debian's folders of the libraries for this machine's processor.
const DEBIANS: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
} else {
    ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
};

/// What the user asked for: `[BINARY:]FUNCTION[=NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Program or library; `None`: the command's, or the process's, own program.
    pub binary: Option<PathBuf>,
    /// Name of the function.
    pub function: String,
    /// Name of the phase.
    pub name: String,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, name) = match text.rsplit_once('=') {
            Some((what, name)) if !is_cut_operator(what, name) => (what, Some(name)),
            _ => (text, None),
        };
        let (binary, function) = match single_colon(what) {
            Some(at) => (Some(PathBuf::from(&what[..at])), &what[at + 1..]),
            None => (None, what),
        };
        let is_empty = binary
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty());
        if function.is_empty() || is_empty || name.is_some_and(str::is_empty) {
            return Err("say [BINARY:]FUNCTION[=NAME], like solve or ./libfft.so:fft=FFT".into());
        }
        Ok(Self {
            binary,
            function: function.to_owned(),
            name: name.unwrap_or(function).to_owned(),
        })
    }
}

/// The `=` belongs to the name of the function, as in `operator==`, `operator+=` and `operator<=>`.
fn is_cut_operator(what: &str, name: &str) -> bool {
    let sign = what.rsplit_once("operator").map(|(_, sign)| sign);
    let is_sign = |sign: &str| sign.bytes().all(|byte| b"=!<>+-*/%&|^".contains(&byte));
    matches!(name, "" | ">") && sign.is_some_and(is_sign)
}

/// The first colon that is not one of a pair: those are part of a name (`a::b`).
fn single_colon(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b':');
    let colons = text.match_indices(':').map(|(at, _)| at);
    colons
        .into_iter()
        .find(|at| !is(at.checked_sub(1)) && !is(Some(at + 1)))
}

/// A function found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// File that holds it.
    pub path: PathBuf,
    /// Offset of its first instruction in the file.
    pub entry: u64,
    /// Offsets of the instructions that leave it.
    pub exits: Vec<u64>,
    /// Name of the phase.
    pub name: String,
}

/// Why a function cannot be a phase.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The file cannot be read.
    #[error("{path}: {error}. Name the program or library: --phase-fn BINARY:FUNCTION")]
    Unreadable {
        /// File.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is something else.
    #[error(
        "{path} is no program or library of this machine ({error}). Name the one that holds the \
         function: --phase-fn BINARY:FUNCTION"
    )]
    NotAnObject {
        /// File.
        path: PathBuf,
        /// Why.
        error: object::Error,
    },
    /// It names no functions at all.
    #[error(
        "{path} names no functions: it was stripped. Give one with symbols, or mark the phase in \
         the program. If another program or library has the function, name it: --phase-fn \
         BINARY:FUNCTION"
    )]
    Stripped {
        /// File.
        path: PathBuf,
    },
    /// It has none of this name.
    #[error("{path} has no function {function}{near}")]
    NoSuch {
        /// File.
        path: PathBuf,
        /// As asked.
        function: String,
        /// Names like it, as the end of the sentence.
        near: String,
    },
    /// It has several.
    #[error("{path} has several functions {function}: {names}. Give the one that you mean in full")]
    Several {
        /// File.
        path: PathBuf,
        /// As asked.
        function: String,
        /// Their full names.
        names: String,
    },
    /// A program of Go moves its stacks, by which calls are told apart.
    #[error(
        "{path} is a program of Go, whose functions cannot be phases: it moves its stacks. Mark the \
         phase in the program"
    )]
    Go {
        /// File.
        path: PathBuf,
    },
    /// It is for other machines.
    #[error(
        "{path} is not a program or library for {}, and its functions cannot be phases",
        std::env::consts::ARCH
    )]
    Architecture {
        /// File.
        path: PathBuf,
    },
    /// Where it ends is not known.
    #[error(
        "{path} does not say how long {function} is, as is usual for one written in assembly: it \
         cannot be a phase"
    )]
    Unsized {
        /// File.
        path: PathBuf,
        /// As asked.
        function: String,
    },
    /// Its address is chosen when the program starts.
    #[error("{function} in {path} is chosen at run time (IFUNC) and cannot be a phase")]
    Indirect {
        /// File.
        path: PathBuf,
        /// As asked.
        function: String,
    },
}

/// Finds a function. `program` is where it is looked for if no binary was named; `root` is the
/// root directory of the processes to be traced.
///
/// # Errors
///
/// [`FindError`] says what to do.
pub fn find(wanted: &Wanted, program: &Path, root: &Path) -> Result<Function, FindError> {
    let path = match &wanted.binary {
        Some(binary) => locate(binary, root),
        None => program.to_owned(),
    };
    let bytes = fs::read(&path).map_err(|error| FindError::Unreadable {
        path: path.clone(),
        error,
    })?;
    let object = object::File::parse(&*bytes).map_err(|error| FindError::NotAnObject {
        path: path.clone(),
        error,
    })?;
    if object.section_by_name(".go.buildinfo").is_some() {
        return Err(FindError::Go { path });
    }
    if object.architecture() != exits::ARCHITECTURE {
        return Err(FindError::Architecture { path });
    }
    let parts = symbols::parts(&object, &wanted.function, &path)?;
    let mut offsets = Vec::new();
    for part in &parts {
        let code = code(&object, part).ok_or_else(|| FindError::Unsized {
            path: path.clone(),
            function: wanted.function.clone(),
        })?;
        let is_own = |address| parts.iter().any(|part| part.contains(&address));
        offsets.extend(exits::exits(code, part.start, is_own));
    }
    let offset = |address| offset(&object, address);
    let entry = offset(parts[0].start);
    let exits = offsets.into_iter().map(offset).collect::<Option<_>>();
    match (entry, exits) {
        (Some(entry), Some(exits)) => Ok(Function {
            path,
            entry,
            exits,
            name: wanted.name.clone(),
        }),
        _ => Err(FindError::Stripped { path }),
    }
}

/// Where an address of the program is in its file.
fn offset(object: &object::File<'_>, address: u64) -> Option<u64> {
    object.segments().find_map(|segment| {
        let within = address.checked_sub(segment.address())?;
        let (start, length) = segment.file_range();
        (within < length).then_some(start + within)
    })
}

/// The machine code of a part; `None` if it is empty or not in the file.
fn code<'data>(object: &object::File<'data>, part: &Range<u64>) -> Option<&'data [u8]> {
    let length = part.end - part.start;
    let mut segments = object.segments();
    let found = segments.find_map(|segment| segment.data_range(part.start, length).ok()?);
    found.filter(|code| !code.is_empty())
}

/// A library named without a path is looked for where libraries lie.
fn locate(binary: &Path, root: &Path) -> PathBuf {
    let within = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    if binary.is_absolute() {
        return within(binary);
    }
    if binary.exists() || binary.components().count() > 1 {
        return binary.to_owned();
    }
    let libraries = LIBRARIES
        .iter()
        .map(|directory| within(&Path::new(directory).join(binary)));
    let mut found = libraries.into_iter().filter(|path| path.exists());
    found
        .next()
        .or_else(|| which::which(binary).ok())
        .unwrap_or_else(|| binary.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(binary: Option<&str>, function: &str, name: &str) -> Wanted {
        Wanted {
            binary: binary.map(PathBuf::from),
            function: function.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_can_be_asked_for() {
        let parse = |text: &str| text.parse::<Wanted>();
        assert_eq!(parse("solve"), Ok(wanted(None, "solve", "solve")));
        assert_eq!(parse("./a:f=Step"), Ok(wanted(Some("./a"), "f", "Step")));
        assert_eq!(parse("a::b::c"), Ok(wanted(None, "a::b::c", "a::b::c")));
        let full = wanted(Some("libx.so"), "ns::T::run(int)", "run");
        assert_eq!(parse("libx.so:ns::T::run(int)=run"), Ok(full));
        for whole in ["T::operator==", "T::operator=", "operator+=", "operator<=>"] {
            assert_eq!(parse(whole), Ok(wanted(None, whole, whole)));
        }
        let equal = wanted(None, "T::operator==", "same");
        assert_eq!(parse("T::operator===same"), Ok(equal));
        assert_eq!(parse("filter=F"), Ok(wanted(None, "filter", "F")));
        for wrong in ["", ":f", "a:", "f=", "=n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn own_functions_are_found_and_missing_ones_named() {
        let own = std::env::current_exe().unwrap();
        let root = Path::new("/");
        let asked = wanted(None, "functions::find", "find");
        let found = find(&asked, &own, root).unwrap();
        assert!(found.entry > 0 && found.path == own);
        assert!(found.exits.iter().all(|exit| *exit != found.entry) && !found.exits.is_empty());
        let error = find(&wanted(None, "functions::fnd", "x"), &own, root).unwrap_err();
        assert!(matches!(error, FindError::NoSuch { .. }), "{error}");
        let script = wanted(None, "main", "main");
        let error = find(&script, Path::new("Cargo.toml"), root).unwrap_err();
        assert!(matches!(error, FindError::NotAnObject { .. }), "{error}");
        let error = find(&script, Path::new("/no/such/file"), root).unwrap_err();
        assert!(matches!(error, FindError::Unreadable { .. }), "{error}");
    }
}
