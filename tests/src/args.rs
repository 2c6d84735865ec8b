//! Arguments of the workloads: `--name VALUE`, `--name`, and what is left over.

use std::str::FromStr;

use crate::sys::process::exit_now;

/// The arguments not taken yet.
#[derive(Debug)]
pub struct Args(Vec<String>);

impl Args {
    /// Of this program.
    pub fn of_program() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes `--name VALUE`.
    pub fn value<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let at = self.0.iter().position(|arg| arg == name)?;
        self.0.remove(at);
        if at == self.0.len() {
            usage(&format!("{name} needs a value"));
        }
        let text = self.0.remove(at);
        Some(
            text.parse()
                .unwrap_or_else(|_| usage(&format!("{name} {text}: not understood"))),
        )
    }

    /// Takes `--name VALUE` with a default.
    pub fn value_or<T: FromStr>(&mut self, name: &str, default: T) -> T {
        self.value(name).unwrap_or(default)
    }

    /// Takes `--name`.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|arg| arg == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// Takes all that follows `--`.
    pub fn command(&mut self) -> Vec<String> {
        let at = self
            .0
            .iter()
            .position(|arg| arg == "--")
            .unwrap_or(self.0.len());
        self.0.split_off(at).into_iter().skip(1).collect()
    }

    /// Takes the first that is left, which must be there.
    pub fn word(&mut self, what: &str) -> String {
        if self.0.is_empty() {
            usage(&format!("{what} is missing"));
        }
        self.0.remove(0)
    }

    /// Nothing may be left.
    pub fn finish(self) {
        if let Some(arg) = self.0.first() {
            usage(&format!("{arg}: not understood"));
        }
    }
}

/// Ends the program with a word about its arguments.
pub fn usage(complaint: &str) -> ! {
    eprintln!(
        "{}: {complaint}",
        std::env::args().next().unwrap_or_default()
    );
    exit_now(2)
}
