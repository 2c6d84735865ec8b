//! Why tracing could not be set up. Knows what the verifier's logs end with.

use std::{
    fmt::{self, Display, Formatter},
    io::{self, Write},
    path::PathBuf,
};

use aya::{
    BtfError, EbpfError,
    maps::MapError,
    programs::{ProgramError, links::LinkError},
};
use tempfile::Builder;

/// What the verifier counts at the end of its log.
const COUNTED: [&str; 4] = [
    "processed ",
    "verification time ",
    "stack depth ",
    "mark_precise: ",
];

/// Why tracing could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel refused the object.
    #[error("the kernel refused to load memtrace's programs")]
    Load(#[source] Box<EbpfError>),
    /// The kernel's verifier refused a program.
    #[error("the kernel refused the program {program} for {subject}: {verdict}")]
    Verifier {
        /// Name.
        program: String,
        /// What it is for.
        subject: String,
        /// What its log ends with.
        verdict: Verdict,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The kernel refused a program.
    #[error("the kernel refused the program {program} for {subject}")]
    Program {
        /// Name.
        program: String,
        /// What it is for.
        subject: String,
        /// Why.
        #[source]
        error: Box<ProgramError>,
    },
    /// The programs' time cannot be taken.
    #[error("the kernel does not take the time of BPF programs for this user")]
    Stats(#[source] Box<ProgramError>),
    /// Type information could not be read.
    #[error("the kernel's type information cannot be read: {0}")]
    Btf(#[from] BtfError),
    /// A map could not be read or written.
    #[error("a map of the kernel side cannot be used: {0}")]
    Map(#[from] MapError),
    /// A link could not be made.
    #[error("the kernel refused a link: {0}")]
    Link(#[from] LinkError),
    /// The census could not be read.
    #[error("the kernel's task list cannot be read: {0}")]
    Census(#[source] io::Error),
    /// The probe did not find what it must.
    #[error("{0}")]
    Probe(String),
    /// The object that the environment names cannot be read.
    #[error("the object that MEMTRACE_BPF_OBJECT names cannot be read: {0}")]
    OtherObject(#[source] io::Error),
    /// The object lacks a map or a program: it is not the one this program was built with.
    #[error("the BPF object has no {0}; rebuild it with: cargo xtask bpf")]
    Object(&'static str),
}

impl AttachError {
    /// Of a program, by its name and what it is for.
    pub(super) fn refused(program: &str, subject: &str) -> impl Fn(ProgramError) -> Self {
        move |error| {
            let (program, subject) = (program.to_owned(), subject.to_owned());
            match error {
                ProgramError::LoadError {
                    io_error: error,
                    verifier_log,
                } => Self::Verifier {
                    program,
                    subject,
                    verdict: Verdict::of(&verifier_log.to_string()),
                    error,
                },
                error => Self::Program {
                    program,
                    subject,
                    error: Box::new(error),
                },
            }
        }
    }

    /// The kernel did not permit a call, whatever capabilities there are.
    pub fn is_forbidden(&self) -> bool {
        anyhow::Chain::new(self)
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .any(|error| error.raw_os_error() == Some(libc::EPERM))
    }
}

/// What the verifier says of a program that it refuses. Its log has thousands of lines, of which the
/// last tells why.
#[derive(Debug)]
pub struct Verdict {
    reason: Option<String>,
    /// Where the whole log is, if it could be kept.
    log: Option<PathBuf>,
}

impl Verdict {
    fn of(log: &str) -> Self {
        Self {
            reason: reason(log).map(str::to_owned),
            log: keep(log).ok(),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_deref().unwrap_or("it says nothing of why"))?;
        if let Some(log) = &self.log {
            write!(
                f,
                " (the verifier's whole log, to report this with: {})",
                log.display()
            )?;
        }
        Ok(())
    }
}

/// The last line that is no count.
fn reason(log: &str) -> Option<&str> {
    let is_count = |line: &str| COUNTED.iter().any(|count| line.starts_with(count));
    let mut lines = log.lines().map(str::trim);
    lines.rfind(|line| !line.is_empty() && !is_count(line))
}

/// Writes a log to where it stays.
fn keep(log: &str) -> io::Result<PathBuf> {
    if log.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = Builder::new()
        .prefix("memtrace-verifier-")
        .suffix(".log")
        .tempfile()?;
    file.write_all(log.as_bytes())?;
    Ok(file.keep()?.1)
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_reason_is_the_last_line_that_counts_nothing() {
        let log = "0: R1=ctx() R10=fp0\n\
                   combined stack size of 6 calls is 544. Too large\n\
                   verification time 93 usec\n\
                   stack depth 64+0+160\n\
                   processed 40 insns (limit 1000000) max_states_per_insn 0\n\n";
        assert_eq!(
            reason(log),
            Some("combined stack size of 6 calls is 544. Too large")
        );
        assert_eq!(reason("processed 40 insns\n"), None);
    }
}
