//! Reads the file that callgrind writes: whose instructions they were, and how often memory was asked for.
//!
//! The format is in valgrind's manual. Names are written out, positions are absolute, and the first of them is the
//! instruction's address, for [`super::run`] asks for that. A line of numbers is an instruction's own cost, but for the one
//! behind `calls=`, which is that of what was called. Calls themselves are counted by the first instruction of who is
//! called: callgrind's own numbers of calls include those that were made while nothing was to be counted.

use std::collections::BTreeMap;

/// What callgrind counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    /// Instructions in the program's own object.
    pub(super) own: u64,
    /// Instructions in all objects.
    pub(super) all: u64,
    /// Calls of the C library's functions that give memory.
    pub(super) allocations: u64,
}

/// The functions that give memory.
const GIVERS: [&str; 6] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

/// Adds up a file of callgrind's; `program` is how the path of the program's object ends.
pub(super) fn read(text: &str, program: &str) -> Tally {
    let mut tally = Tally::default();
    let (mut is_own, mut function) = (false, "");
    // By giver: its first instruction, and how often that was executed.
    let mut givers = BTreeMap::new();
    // How many numbers of a line say where it is.
    let mut positions = 1;
    let mut is_of_call = false;
    for line in text.lines() {
        if let Some(kinds) = line.strip_prefix("positions: ") {
            positions = kinds.split_whitespace().count();
        } else if let Some(name) = line.strip_prefix("ob=") {
            is_own = name.ends_with(program);
        } else if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            is_of_call = true;
        } else if line.starts_with("0x") && !std::mem::take(&mut is_of_call) {
            let Some((address, cost)) = numbers(line, positions) else { continue };
            tally.all += cost;
            if is_own {
                tally.own += cost;
            } else if GIVERS.contains(&function) {
                let first = givers.entry(function).or_insert((address, 0));
                if address < first.0 {
                    *first = (address, 0);
                }
                if address == first.0 {
                    first.1 += cost;
                }
            }
        }
    }
    tally.allocations = givers.values().map(|(_, calls)| calls).sum();
    tally
}

/// The address and the cost of a line.
fn numbers(line: &str, positions: usize) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((address, words.nth(positions - 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
version: 1
positions: instr line
events: Ir
summary: 165

ob=/usr/lib/libc.so.6
fl=malloc.c
fn=malloc
0x1f 11 35
0x10 10 2
0x11 10 2
0x13 10 1
cfn=_int_malloc
calls=7 0x20 20
0x14 10 60

fn=_int_malloc
0x20 20 60

ob=/somewhere/target/release/tieline-micro
fl=core.rs
fn=tieline_broker::core::step
0x40 5 30
fi=other.rs
0x44 6 33
fe=core.rs
cob=/usr/lib/libc.so.6
cfi=malloc.c
cfn=malloc
calls=9 0x10 10
0x48 7 100
fn=malloc
0x50 7 2
totals: 165
";

    #[test]
    fn instructions_belong_to_the_object_that_they_stand_in_and_what_was_called_is_not_counted_twice() {
        assert_eq!(read(FILE, "/tieline-micro"), Tally { own: 65, all: 165, allocations: 2 });
    }
}
