//! Markers of a made-up run: each cuts the segments of its space and of the target, as the kernel
//! side does.

use memtrace::event::Event;
use tracer_common::{
    ledger::{Calls, Split},
    limits::MARK_NAME_BYTES,
    record::{Marked, call, kind, mark},
};

use crate::run::{Run, padded};

impl Run {
    /// The main thread begins a phase.
    pub(crate) fn begin(&mut self, process: u32, name: &str) -> &mut Self {
        self.mark(process, mark::BEGIN, name, 0)
    }

    /// The main thread ends its innermost phase.
    pub(crate) fn end(&mut self, process: u32) -> &mut Self {
        self.mark(process, mark::END, "", 0)
    }

    /// The main thread makes the marker call.
    pub(crate) fn mark(&mut self, process: u32, what: u32, name: &str, track: u64) -> &mut Self {
        self.mark_in(process, self.tasks[&process].pid, what, name, track)
    }

    /// A thread makes it.
    pub(crate) fn mark_in(
        &mut self,
        process: u32,
        thread: u32,
        what: u32,
        name: &str,
        track: u64,
    ) -> &mut Self {
        let header = self.header(kind::MARKED);
        let task = self.tasks.get_mut(&process).unwrap();
        task.marked = true;
        let (id, minor_faults) = (task.space, task.faults);
        self.target.marks += 1;
        let mut marked = Marked {
            header,
            order: self.target.marks,
            process,
            space: 0,
            thread,
            what,
            track,
            stack_pointer: 0,
            function: 0,
            name_len: u32::try_from(name.len().min(MARK_NAME_BYTES)).unwrap(),
            name: padded(name.as_bytes()),
            level: Split::ZERO,
            segment: 0,
            target_rss: self.target.level_rss,
            target_segment: self.target.segment,
            minor_faults,
            major_faults: 0,
            vm: [Calls::default(); call::COUNT],
            is_exact: 1,
            reserved: 0,
        };
        self.target.segment = self.target.level_rss;
        if let Some(space) = self.spaces.get_mut(&id) {
            marked.space = id;
            marked.level = space.level;
            marked.segment = space.segment;
            space.segment = space.level_rss;
        }
        self.events.push(Event::Marked(Box::new(marked)));
        self
    }

    /// A process ends or enters another program: that is a marker where there were others.
    pub(crate) fn leave(&mut self, process: u32, what: u32) {
        if self.tasks[&process].marked {
            self.mark(process, what, "", 0);
        }
    }
}
