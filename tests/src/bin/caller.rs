//! Functions that take up and give back known numbers of pages, to be made phases by their names.

use std::hint::black_box;

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
}
