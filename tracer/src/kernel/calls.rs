//! Calls of the kernel's functions: filling in the places that the kernel side marks for them.
//! Knows the object's bytes and nothing of what is in them.

use tracer_common::layout::place::{CAST, TASK_OFF, TASK_ON, TRACEPOINT_OFF, TRACEPOINT_ON};

/// `goto +0`: the verifier takes it out again.
const NOTHING: u64 = 0x05;

/// A call of the kernel's function with a BTF id. One of none (0) is accepted where it is never
/// reached.
const fn call(function: u32) -> u64 {
    const KERNEL_FUNCTION: u64 = 0x2085;
    (function as u64) << 32 | KERNEL_FUNCTION
}

/// BTF ids of the functions that turn preemption off and on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// `bpf_preempt_disable`.
    pub off: u32,
    /// `bpf_preempt_enable`.
    pub on: u32,
}

/// What is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Calls {
    /// In programs of tracepoints, unless they may be preempted.
    pub preemption_in_tracepoints: Option<Switch>,
    /// In programs that run for a task, likewise.
    pub preemption_in_tasks: Option<Switch>,
    /// `bpf_rdonly_cast`, unless addresses are read by a helper.
    pub cast: Option<u32>,
}

impl Calls {
    /// What is to stand in a place.
    fn instead(self, word: u64) -> Option<u64> {
        let switch = |switch: Option<Switch>, function: fn(Switch) -> u32| {
            switch.map_or(NOTHING, |switch| call(function(switch)))
        };
        match word {
            TRACEPOINT_OFF => Some(switch(self.preemption_in_tracepoints, |switch| switch.off)),
            TRACEPOINT_ON => Some(switch(self.preemption_in_tracepoints, |switch| switch.on)),
            TASK_OFF => Some(switch(self.preemption_in_tasks, |switch| switch.off)),
            TASK_ON => Some(switch(self.preemption_in_tasks, |switch| switch.on)),
            CAST => Some(call(self.cast.unwrap_or(0))),
            _ => None,
        }
    }
}

/// Fills every place in `object`.
pub fn fill(object: &mut [u8], calls: Calls) {
    // Instructions are 8 bytes, and sections of them lie on multiples of that.
    for word in object.as_chunks_mut().0 {
        if let Some(instead) = calls.instead(u64::from_le_bytes(*word)) {
            *word = instead.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAST, Calls, Switch, TASK_OFF, TASK_ON, TRACEPOINT_OFF, TRACEPOINT_ON, fill};
    use crate::kernel::attach::object;

    #[test]
    fn every_place_of_the_object_is_filled_and_nothing_else_is_touched() {
        let before = object().unwrap();
        let mut after = before.to_vec();
        let preemption_in_tracepoints = Some(Switch {
            off: 0x1234,
            on: 0x5678,
        });
        fill(
            &mut after,
            Calls {
                preemption_in_tracepoints,
                preemption_in_tasks: None,
                cast: Some(0x9abc),
            },
        );
        let words = |object: &[u8]| -> Vec<u64> {
            let words = object.as_chunks().0.iter();
            words.map(|word| u64::from_le_bytes(*word)).collect()
        };
        let mut filled = [0; 5];
        for (before, after) in words(&before).into_iter().zip(words(&after)) {
            let (place, expected) = match before {
                TRACEPOINT_OFF => (0, 0x1234_0000_2085),
                TRACEPOINT_ON => (1, 0x5678_0000_2085),
                TASK_OFF => (2, 0x05),
                TASK_ON => (3, 0x05),
                CAST => (4, 0x9abc_0000_2085),
                other => {
                    assert_eq!(after, other);
                    continue;
                }
            };
            filled[place] += 1;
            assert_eq!(after, expected);
        }
        assert!(filled.iter().all(|count| *count > 0), "{filled:?}");
    }
}
