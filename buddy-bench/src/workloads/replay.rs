//! A trace of a real program, on one thread, in the trace's total order.

use crate::holder::{Holder, Request};
use crate::meter::Meter;
use crate::peers::Allocator;
use crate::trace::{Event, Op, Trace};

/// The clock is read once in this many events.
const EVENTS_PER_LOOK: usize = 256;

/// Replays a trace once, or as much of it as the limits allow.
#[inline(never)]
pub(super) fn run<A: Allocator>(trace: &Trace, holder: &mut Holder<A>, meter: &mut Meter) {
    let events = &trace.events[..meter.most_events().min(trace.events.len())];
    meter.start();
    for chunk in events.chunks(EVENTS_PER_LOOK) {
        for event in chunk {
            let served = step(holder, event);
            if !meter.served(served) {
                return;
            }
        }
        if !meter.stop(chunk.len()) {
            return;
        }
    }
}

#[inline(always)]
fn step<A: Allocator>(holder: &mut Holder<A>, event: &Event) -> bool {
    let slot = event.slot as usize;
    // The rules of traces keep a request from being none.
    match (event.op, Request::new(event.size, event.align_log2)) {
        (Op::Alloc, Some(request)) => holder.alloc(slot, request),
        (Op::AllocZeroed, Some(request)) => holder.alloc_zeroed(slot, request),
        (Op::Realloc, _) => holder.realloc(slot, event.size),
        (Op::Free | Op::Alloc | Op::AllocZeroed, _) => {
            holder.free(slot);
            true
        }
    }
}
