//! Functions that take up and give back known numbers of pages, to be made phases by their names.

use std::{
    hint::black_box,
    panic::{catch_unwind, resume_unwind},
};

use tests::sys::{
    memory::{self, Kind, Map},
    process,
};

/// Takes up so many pages and gives them back.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn take_up(pages: usize) -> usize {
    let map = Map::new(Kind::Private, pages);
    map.write_all();
    black_box(map.pages())
}

/// Holds a page for each level of a recursion.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn descend(levels: usize) -> usize {
    let map = Map::new(Kind::Private, 1);
    map.write_all();
    if levels > 1 {
        black_box(descend(levels - 1));
    }
    black_box(map.pages())
}

/// Takes up so many pages and does not return: it is left by a panic.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C-unwind" fn give_up(pages: usize) {
    if take_up(pages) == pages {
        resume_unwind(Box::new(pages));
    }
}

/// A function of Rust, whose symbol is mangled.
mod inner {
    #[inline(never)]
    pub(super) fn outermost(pages: usize) -> usize {
        super::take_up(pages) + super::take_up(2 * pages)
    }
}

fn main() {
    process::refuse_huge_pages();
    black_box(inner::outermost(1) + descend(9));
    memory::fault_all_in();
    black_box(inner::outermost(300));
    black_box(descend(5));
    (1..=3).for_each(|pages| {
        black_box(take_up(pages));
    });
    for pages in [10, 20] {
        let thrown = catch_unwind(|| give_up(black_box(pages))).expect_err("a panic");
        assert_eq!(thrown.downcast_ref(), Some(&pages));
        black_box(take_up(1));
    }
}
