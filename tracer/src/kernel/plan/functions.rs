//! Programs at functions of the kernel.

use super::Asked;
use crate::kernel::facts::Facts;

/// Where in a function a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before it.
    Entry,
    /// After it.
    Exit,
}

/// A program to load and the function of the kernel to attach it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtFunction {
    /// Name in the object.
    pub name: &'static str,
    /// The kernel's function.
    pub function: &'static str,
    /// Where in it.
    pub at: At,
    /// What it serves.
    pub subject: &'static str,
    /// What it does not see is made up for, or known by other means.
    pub is_made_up_for: bool,
}

impl AtFunction {
    /// How the kernel names the place.
    pub fn via(&self) -> String {
        let kind = match self.at {
            At::Entry => "fentry",
            At::Exit => "fexit",
        };
        format!("{kind}/{}", self.function)
    }
}

/// Whether it matters if the kernel accepts such programs, which only a trial tells.
pub fn may_be_wanted(asked: &Asked, facts: &Facts) -> bool {
    asked.fault_latency
        || super::markers::wants_functions(facts)
        || super::entries::wants_functions(facts)
        || super::vm::wants_functions(facts)
        || super::counters::Counters::wants_functions(facts)
}
