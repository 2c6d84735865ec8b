//! Known wrong ways of doing this, built only by `cargo xtask test mutants`, to show that the
//! tests notice. What they need beyond leaving something out is here.

use crate::peek::Mm;

/// Attribution by the running task, and with it the loss of what happens while a process exits and
/// has no space any more.
#[cfg(any(mutant = "attribute-by-current", mutant = "exit-decrements-dropped"))]
#[inline(always)]
pub fn ignores(mm: Mm) -> bool {
    let own = crate::peek::Thread::current().mm();
    if cfg!(mutant = "attribute-by-current") {
        own.address() != mm.address()
    } else {
        own.is_null()
    }
}

#[cfg(mutant = "o1-sum")]
pub use o1_sum::sum_of_last_seen;

/// The sum that costs the same on any number of CPUs: plain counts and what each CPU's slots held
/// when it was last seen. Another CPU may have moved its slot into the count meanwhile.
#[cfg(mutant = "o1-sum")]
mod o1_sum {
    use aya_ebpf::{macros::map, maps::HashMap};
    use tracer_common::ledger::Split;

    use crate::peek::{CPUS, Mm};

    /// Slots by space and CPU.
    #[map]
    static LAST_SEEN: HashMap<[u64; 2], [i32; 4]> = HashMap::with_max_entries(65_536, 0);

    #[inline(always)]
    pub fn sum_of_last_seen(mm: Mm, to: &mut Split) -> bool {
        let own = mm.own_slot_values();
        let _ = LAST_SEEN.insert([mm.address(), u64::from(crate::emit::cpu())], own, 0);
        *to = mm.counts();
        let mut cpu = 0;
        while cpu < CPUS.load() {
            // SAFETY: a live map value; a torn reading would be wrong too.
            if let Some([file, anon, swap, shmem]) = unsafe { LAST_SEEN.get([mm.address(), cpu]) } {
                to.file += i64::from(*file);
                to.anon += i64::from(*anon);
                to.swap += i64::from(*swap);
                to.shmem += i64::from(*shmem);
            }
            cpu += 1;
        }
        true
    }
}
