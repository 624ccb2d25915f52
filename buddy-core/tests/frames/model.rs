//! A naive model: a state a frame, found byte by byte.

use buddy_core::Kind;
use buddy_core::frames::{Frame, Frames, MemoryKind, MemoryRange, PhysicalAddress, Stretch, Zone};
use buddy_core::{Policy, Word};
use std::ops::Range;

/// Frames are small here, so that maps can be gone through byte by byte.
pub(crate) const SIZE: usize = 16;
/// No entry reaches further.
pub(crate) const BYTES: u64 = 4096;
/// All frames there can be.
pub(crate) const FRAMES: usize = BYTES as usize / SIZE;
pub(crate) const MAX_ORDER: u32 = 6;
pub(crate) const ZONES: usize = 3;

pub(crate) type Subject<'m, W, P> = Frames<'m, W, P, ZONES, SIZE, MAX_ORDER>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Without metadata.
    Unknown,
    Reserved,
    Free,
    /// Of the block that starts at this frame.
    Used(usize),
}

pub(crate) struct Model {
    pub(crate) frames: Vec<State>,
    /// The frames of each zone that have metadata.
    pub(crate) spans: [Range<usize>; ZONES],
}

fn address(bytes: usize) -> PhysicalAddress {
    PhysicalAddress::new(bytes as u64)
}

impl Model {
    pub(crate) fn new(map: &[MemoryRange], zones: &[Zone; ZONES]) -> Self {
        let has = |kind: MemoryKind, byte: usize| {
            let mut of_kind = map.iter().filter(|entry| entry.kind == kind);
            of_kind.any(|entry| entry.addresses().contains(&address(byte)))
        };
        let bytes = |frame: usize| frame * SIZE..(frame + 1) * SIZE;
        let usable: Vec<bool> = (0..FRAMES)
            .map(|frame| {
                let is_usable =
                    |byte| has(MemoryKind::Usable, byte) && !has(MemoryKind::Reserved, byte);
                bytes(frame).all(is_usable)
            })
            .collect();
        // Unlike usable memory, what comes later is not put together from several entries.
        let later = |frame: usize| {
            map.iter()
                .filter(|entry| entry.kind == MemoryKind::Later)
                .any(|entry| bytes(frame).all(|byte| entry.addresses().contains(&address(byte))))
        };
        let mut frames = vec![State::Unknown; FRAMES];
        let spans = std::array::from_fn(|zone| {
            let below = if zone == 0 { 0 } else { zones[zone - 1].limit().get() as usize / SIZE };
            let within = below..(zones[zone].limit().get() as usize / SIZE).min(FRAMES);
            let known = || within.clone().filter(|frame| usable[*frame] || later(*frame));
            let (Some(first), Some(last)) = (known().next(), known().next_back()) else {
                return 0..0;
            };
            for frame in first..=last {
                frames[frame] = if usable[frame] { State::Free } else { State::Reserved };
            }
            first..last + 1
        });
        Self { frames, spans }
    }

    pub(crate) fn count(&self, state: impl Fn(State) -> bool) -> usize {
        self.frames.iter().filter(|frame| state(**frame)).count()
    }

    pub(crate) fn free(&self) -> usize {
        self.count(|state| state == State::Free)
    }

    pub(crate) fn used(&self) -> usize {
        self.count(|state| matches!(state, State::Used(_)))
    }

    pub(crate) fn is_free(&self, frames: Range<usize>) -> bool {
        frames.clone().all(|frame| self.frames.get(frame) == Some(&State::Free))
            && self.spans.iter().any(|span| span.start <= frames.start && frames.end <= span.end)
    }

    /// The zone that a frame's metadata is in.
    pub(crate) fn zone(&self, frame: usize) -> Option<usize> {
        self.spans.iter().position(|span| span.contains(&frame))
    }

    /// The highest zone that has a free aligned block of `frames` frames (a power of two) within.
    pub(crate) fn zone_with(&self, frames: usize, within: &Range<usize>) -> Option<usize> {
        (0..ZONES).rev().find(|zone| {
            let span = &self.spans[*zone];
            let (low, high) = (span.start.max(within.start), span.end.min(within.end));
            let mut starts = (low.next_multiple_of(frames)..high).step_by(frames);
            starts.any(|first| first + frames <= high && self.is_free(first..first + frames))
        })
    }

    /// The block that starts at a frame.
    pub(crate) fn block(&self, first: usize) -> Option<usize> {
        let mine = |frame: &usize| self.frames[*frame] == State::Used(first);
        let frames = (first..FRAMES).take_while(mine).count();
        (frames > 0).then_some(frames)
    }

    pub(crate) fn blocks(&self) -> Vec<usize> {
        (0..FRAMES).filter(|frame| self.frames[*frame] == State::Used(*frame)).collect()
    }

    pub(crate) fn take(&mut self, first: usize, frames: usize) {
        assert!(self.is_free(first..first + frames), "{first}, {frames}: not free");
        self.set(first..first + frames, State::Used(first));
    }

    pub(crate) fn set(&mut self, frames: Range<usize>, state: State) {
        self.frames[frames].fill(state);
    }

    /// The subject is what the model says.
    pub(crate) fn agrees_with<W: Word, P: Policy>(&self, subject: &Subject<'_, W, P>) {
        assert_eq!(subject.validate(), Ok(()));
        assert_eq!(subject.free_frames(), self.free());
        assert_eq!(subject.used_frames(), self.used());
        let mut seen = vec![State::Unknown; FRAMES];
        for Stretch { first, frames, kind } in subject.walk() {
            let first = first.number();
            seen[first..first + frames].fill(match kind {
                Kind::Free => State::Free,
                Kind::Used => State::Used(first),
                Kind::Reserved => State::Reserved,
            });
        }
        assert_eq!(seen, self.frames);
    }
}

pub(crate) fn frame(number: usize) -> Frame<SIZE> {
    Frame::new(number)
}

/// The zones with these limits, in frames.
pub(crate) fn zones(limits: [usize; ZONES]) -> [Zone; ZONES] {
    ["low", "middle", "high"]
        .iter()
        .zip(limits)
        .map(|(name, limit)| Zone::new(name, address(limit * SIZE)))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}
