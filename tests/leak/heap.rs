//! The live bytes of one thread, counted exactly, by the size of what holds them.

#![allow(clippy::cast_possible_wrap, reason = "no block has so many bytes")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::eventually;

/// A thread that is not resting allocates or frees within this time.
const PAUSE: Duration = Duration::from_millis(200);

/// Blocks of up to 2^0, 2^1, 2^2 … bytes.
const CLASSES: usize = 33;

static BLOCKS: [AtomicI64; CLASSES] = [const { AtomicI64::new(0) }; CLASSES];
static BYTES: [AtomicI64; CLASSES] = [const { AtomicI64::new(0) }; CLASSES];

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

/// Blocks and bytes in each class.
pub(super) type Live = [(i64, i64); CLASSES];

/// Counts what this thread allocates and frees from now on.
pub(super) fn count_this_thread() {
    COUNTED.set(true);
}

/// Does something that is not to be counted. What it allocates must not be freed in a counted thread.
pub(super) fn not_counted(action: impl FnOnce()) {
    let counted = COUNTED.replace(false);
    action();
    COUNTED.set(counted);
}

/// What is live when the counted thread rests: right after a report it may still free what that took.
pub(super) fn live_at_rest() -> Live {
    let mut before = live();
    eventually("the heap does not change", || {
        thread::sleep(PAUSE);
        let now = live();
        std::mem::replace(&mut before, now) == now
    });
    before
}

fn live() -> Live {
    array::from_fn(|class| {
        let of = |counts: &[AtomicI64; CLASSES]| counts[class].load(Ordering::Acquire);
        (of(&BLOCKS), of(&BYTES))
    })
}

/// What is not the same, by size.
pub(super) fn differences(before: &Live, after: &Live) -> Vec<String> {
    let classes = before.iter().zip(after).enumerate();
    classes
        .filter(|(_, (before, after))| before != after)
        .map(
            |(class, ((blocks_before, bytes_before), (blocks_after, bytes_after)))| {
                let most = 1_u64 << class;
                format!(
                "blocks of up to {most} bytes: {blocks_before} with {bytes_before} bytes before, \
                 {blocks_after} with {bytes_after} bytes after"
            )
            },
        )
        .collect()
}

fn count(layout: Layout, sign: i64) {
    // No thread is counted any more when its locals are gone.
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        let class = layout.size().next_power_of_two().trailing_zeros() as usize;
        let class = class.min(CLASSES - 1);
        BLOCKS[class].fetch_add(sign, Ordering::AcqRel);
        BYTES[class].fetch_add(sign * layout.size() as i64, Ordering::AcqRel);
    }
}

// SAFETY: every call goes to the system's allocator as it came, and counting allocates nothing. `realloc` is the
// trait's own, which goes through both.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
