//! Memory of classes that are no part of the resident set, or a special one: huge pages of hugetlb,
//! pages in swap, a file on tmpfs. Stands still at the top, with all of it held.

use std::{path::PathBuf, time::Duration};

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        file,
        memory::{self, Kind, Map},
        process,
    },
    truth::{self, ClassesTruth},
};

fn main() {
    let mut args = Args::of_program();
    let hugetlb: usize = args.value_or("--hugetlb", 0);
    let swapped: usize = args.value_or("--swapped", 0);
    let on_tmpfs: usize = args.value_or("--tmpfs", 0);
    let anon: usize = args.value_or("--anon", 0);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let mut reader = Reader::default();
    // Holding and giving back is practised: nothing new is touched at the top.
    drop(memory::ballast(1));
    std::thread::sleep(Duration::from_nanos(1));
    let huge = (hugetlb > 0).then(|| Map::hugetlb(hugetlb));
    huge.iter().for_each(Map::write_each_huge);
    let cold = (swapped > 0).then(|| Map::new(Kind::Private, swapped));
    cold.iter().for_each(Map::write_all);
    cold.iter().for_each(Map::page_out);
    let file = (on_tmpfs > 0).then(|| file::tmpfs_file(on_tmpfs));
    let shared = file
        .as_ref()
        .map(|file| Map::new(Kind::SharedFile(file), on_tmpfs));
    shared.iter().for_each(Map::write_all);
    // More than what was swapped out: the top is here.
    let top = Map::new(Kind::Private, swapped + anon);
    top.write_all();
    reader.own_level();
    reader.own_swap_bytes();
    let truth = ClassesTruth {
        pid: std::process::id(),
        level: reader.own_level(),
        swap_bytes: reader.own_swap_bytes(),
        hugetlb_bytes: (hugetlb * memory::huge_page_pages() * memory::page_bytes()) as u64,
    };
    std::thread::sleep(Duration::from_millis(20));
    drop((huge, cold, shared, top));
    truth::write(&truth, truth_file.as_deref());
}
