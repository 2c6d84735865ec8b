//! Levels in the order of their times: records of several CPUs may come a little late.

use std::collections::VecDeque;

use tracer_common::record::Level;

/// Records that wait for late ones.
const WINDOW: usize = 64;

/// See the module.
#[derive(Clone, Debug)]
pub struct InOrder(VecDeque<Level>);

impl Default for InOrder {
    fn default() -> Self {
        Self(VecDeque::with_capacity(WINDOW + 1))
    }
}

impl InOrder {
    /// Takes a record in; gives the earliest if there is no more room to wait.
    pub fn add(&mut self, level: Level) -> Option<Level> {
        let at_ns = level.header.at_ns;
        let place = match self.0.back() {
            Some(last) if last.header.at_ns > at_ns => {
                self.0.partition_point(|other| other.header.at_ns <= at_ns)
            }
            _ => self.0.len(),
        };
        self.0.insert(place, level);
        if self.0.len() > WINDOW {
            self.0.pop_front()
        } else {
            None
        }
    }

    /// Those that wait, by time.
    pub fn waiting(&self) -> impl Iterator<Item = &Level> {
        self.0.iter()
    }

    /// The earliest that waits: no more will come.
    pub fn pop(&mut self) -> Option<Level> {
        self.0.pop_front()
    }
}
