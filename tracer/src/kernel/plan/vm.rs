//! Where changes of virtual size are seen.

use super::{
    functions::{At, AtFunction},
    globals::has_registers,
};
use crate::{
    event::Doubt,
    kernel::facts::{Arch, Facts, functions},
};

/// Subject of the hooks that see changes of virtual size.
pub const VIRTUAL_MEMORY: &str = "virtual memory";

/// The tracepoints at the lock of a space: taken, and let go.
pub(super) const TRACEPOINTS: [&str; 2] = ["mmap_lock_acquire_returned", "mmap_lock_released"];

/// What is lost where nothing shows them.
pub(super) const NOTHING: Option<(&str, &str)> = Some((
    "no-virtual-memory",
    "calls of mmap, munmap, mremap and brk are not counted: this kernel does not tell who changed \
     the size of an address space",
));

/// What shows a change of virtual size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenBy {
    /// The begin and the end of holding the space's lock: [`TRACEPOINTS`].
    Lock,
    /// The functions of the kernel that do the work of the calls.
    Functions,
    /// Nothing.
    Nothing,
}

pub(super) fn seen_by(facts: &Facts) -> SeenBy {
    let mut all = programs_on(facts.arch).into_iter();
    if !has_registers(facts) {
        SeenBy::Nothing
    } else if tells_of_lock(facts) {
        SeenBy::Lock
    } else if all.all(|program| facts.accepts_programs_at(program.function)) {
        SeenBy::Functions
    } else {
        SeenBy::Nothing
    }
}

/// Whether it matters if the kernel accepts programs at its functions.
pub(super) fn wants_functions(facts: &Facts) -> bool {
    !tells_of_lock(facts)
}

/// With the path of a cgroup as well (before Linux 6.13) they cost every process time.
fn tells_of_lock(facts: &Facts) -> bool {
    TRACEPOINTS.map(|name| facts.arguments(name)) == [Some(3), Some(2)]
}

/// The programs to attach to functions. No second ones for where the kernel skips the first: a call
/// that two programs see would count twice.
pub(super) fn programs(facts: &Facts) -> impl Iterator<Item = AtFunction> {
    let all = (seen_by(facts) == SeenBy::Functions).then(|| programs_on(facts.arch));
    all.into_iter().flatten()
}

fn programs_on(arch: Arch) -> [AtFunction; 7] {
    let (remap, set_break) = match arch {
        Arch::X86_64 => (functions::X86_64_REMAP, functions::X86_64_BREAK),
        Arch::Aarch64 => (functions::ARM64_REMAP, functions::ARM64_BREAK),
    };
    let program = |name, function, at| AtFunction {
        name,
        function,
        at,
        subject: VIRTUAL_MEMORY,
        is_made_up_for: false,
    };
    [
        program("mapping_ended", functions::MAP, At::Exit),
        program("mapping_began", functions::MAP, At::Entry),
        program("stack_ended", functions::STACK, At::Exit),
        program("stack_began", functions::STACK, At::Entry),
        program("unmapped", functions::UNMAP, At::Exit),
        program("remapped", remap, At::Exit),
        program("break_set", set_break, At::Exit),
    ]
}

/// What the functions do not show.
pub(super) fn doubt(facts: &Facts) -> Option<Doubt> {
    (seen_by(facts) == SeenBy::Functions).then(|| Doubt {
        id: "virtual-memory-by-calls".to_owned(),
        text:
            "calls of virtual memory are seen at their end: where several threads change a space \
               at once, the peak of its virtual size can be off. What shmdt gives back and what \
               the start of a program lays out is not counted"
                .to_owned(),
        remedy: "use Linux 6.13 or later".to_owned(),
    })
}
