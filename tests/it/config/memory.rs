//! What the front end takes of memory for files made to take much: counted in bytes that are allocated at a time, so that the
//! numbers are the same on every machine.

use crate::table::compile;

/// Nearly all that one file may have.
const SIZE: usize = (1 << 20) - 1024;
/// Of the 64 MiB that `check` may take as a process, twenty are the program itself, and a few what the allocator holds back.
const MOST: u64 = 38 << 20;

/// As many of these lines as a file may have, or `most`.
fn filled(head: &str, most: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for at in 0..most {
        let line = line(at);
        if text.len() + line.len() > SIZE {
            break;
        }
        text.push_str(&line);
    }
    text
}

#[test]
fn no_file_takes_more_memory_than_is_promised() {
    const RULES: &str = "presets: { a: demo/chat }\nrules: |\n";
    let pairs =
        |count: usize| (0..count).map(|at| format!("(stream or images > {at})")).collect::<Vec<_>>().join(" and ");
    for (what, text) in [
        ("rules about a model each", filled(RULES, usize::MAX, |at| format!(" when model==\"{at:x}\"->@a\n"))),
        ("rules of 8 KB with pairs of facts", filled(RULES, usize::MAX, |_| format!(" when {} -> @a\n", pairs(330)))),
        ("presets", filled("presets:\n", 4_990, |at| format!(" {at:x}: demo/a\n"))),
        ("too many presets", filled("presets:\n", 49_000, |at| format!(" {at:x}: demo/a\n"))),
        ("tests of nothing", filled("tests:\n", 4_990, |_| " - {}\n".to_owned())),
        ("too many tests", filled("tests:\n", 90_000, |_| " - {}\n".to_owned())),
        ("numbers", filled("presets: { a: { route: demo/a, override: { x: [", 99_000, |_| "1,".to_owned()) + "] } } }"),
    ] {
        let taken = allocation_counter::measure(|| drop(compile(&text, &[])));
        let mebibytes = taken.bytes_max >> 20;
        println!("{what}: {mebibytes} MiB");
        assert!(taken.bytes_max < MOST, "{what} take {mebibytes} MiB");
    }
}
