//! Calls on frames beside the model: every answer must be the one that the model allows.

use super::model::{FRAMES, MAX_ORDER, Model, SIZE, State, Subject, ZONES, frame, zones};
use buddy_core::frames::{
    AllocError, Bootstrap, BootstrapError, Frame, MemoryRange, PhysicalAddress, Request,
};
use buddy_core::{Order, Policy, Word};
use std::ops::Range;

/// A call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    One,
    Block(u32),
    Exact(usize),
    At(usize, usize),
    Within {
        frames: usize,
        range: Range<u64>,
        align: u32,
        boundary: Option<u32>,
    },
    Many(u32, usize),
    /// The block of this number.
    Free(usize),
    FreeSized(usize, Option<usize>),
    /// Any frame.
    FreeAny(usize, usize),
    FreePartOfAny(usize, usize),
    FreePart(usize, usize, usize),
    Split(usize, usize),
    Add(Range<u64>),
    Remove(Range<u64>),
}

fn addresses(range: &Range<u64>) -> Range<PhysicalAddress> {
    PhysicalAddress::new(range.start)..PhysicalAddress::new(range.end)
}

/// Whole frames between two addresses.
fn inside(range: &Range<u64>) -> Range<usize> {
    (range.start as usize).div_ceil(SIZE)..range.end as usize / SIZE
}

struct Pair<'m, W: Word, P: Policy> {
    model: Model,
    subject: Subject<'m, W, P>,
}

impl<W: Word, P: Policy> Pair<'_, W, P> {
    fn step(&mut self, step: &Step) {
        match step {
            Step::One => {
                let first = self.subject.allocate_one().map(Frame::number);
                self.check_block(first, 1);
            }
            Step::Block(order) => {
                let frames = 1 << order;
                let block = self.subject.allocate(Order::new(*order).unwrap());
                self.check_block(block.map(Frame::number), frames);
            }
            Step::Exact(frames) => {
                let block = self.subject.allocate_exact(*frames).map(Frame::number);
                self.check_exact(block, *frames);
            }
            Step::At(first, frames) => {
                let is_free = *frames > 0 && self.model.is_free(*first..first + frames);
                let taken = self.subject.allocate_at(frame(*first), *frames);
                assert_eq!(taken.is_ok(), is_free, "{taken:?}");
                if is_free {
                    self.model.take(*first, *frames);
                }
            }
            Step::Within { frames, range, align, boundary } => {
                self.within(*frames, range, 1 << align, boundary.map(|order| 1 << order));
            }
            Step::Many(order, count) => self.many(*order, *count),
            Step::Add(range) => self.add(range),
            Step::Remove(range) => self.remove(range),
            _ => self.give_back(step),
        }
        self.model.agrees_with(&self.subject);
    }

    fn is_too_large<T>(refused: &Result<T, AllocError>, frames: usize) -> bool {
        match refused {
            Err(AllocError::ZeroSize) => assert_eq!(frames, 0),
            Err(AllocError::TooLarge { .. }) => assert!(frames > 1 << MAX_ORDER),
            _ => return false,
        }
        true
    }

    /// A block of a power of two is refused only if there is none, and comes from the highest zone
    /// that has one.
    fn check_block(&mut self, block: Result<usize, AllocError>, frames: usize) {
        if Self::is_too_large(&block, frames) {
            return;
        }
        let zone = self.model.zone_with(frames, &(0..FRAMES));
        match block {
            Ok(first) => {
                assert_eq!(first % frames, 0);
                assert_eq!(self.model.zone(first), zone);
                self.model.take(first, frames);
            }
            Err(AllocError::OutOfMemory { frames: asked, .. }) => {
                assert_eq!((zone, asked), (None, frames));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check_exact(&mut self, block: Result<usize, AllocError>, frames: usize) {
        if Self::is_too_large(&block, frames) {
            return;
        }
        let aligned = self.model.zone_with(frames.next_power_of_two(), &(0..FRAMES));
        match block {
            // In a gap of a higher zone, too.
            Ok(first) => {
                assert!(self.model.zone(first) >= aligned);
                self.model.take(first, frames);
            }
            Err(AllocError::OutOfMemory { .. }) => assert_eq!(aligned, None),
            Err(error) => panic!("{error}"),
        }
    }

    fn within(&mut self, frames: usize, range: &Range<u64>, align: u64, boundary: Option<u64>) {
        let Range { start, end } = addresses(range);
        let mut request = Request::frames(frames).above(start).below(end).align(align);
        if let Some(boundary) = boundary {
            request = request.boundary(boundary);
        }
        let block = self.subject.allocate_within(&request);
        if Self::is_too_large(&block, frames) {
            return;
        }
        let (within, align) = (inside(range), (align as usize).div_ceil(SIZE));
        let size = frames.next_power_of_two();
        match block {
            Ok(first) => {
                let first = first.number();
                assert!(within.start <= first && first + frames <= within.end);
                assert_eq!(first % align, 0);
                if let Some(boundary) = boundary {
                    let boundary = boundary as usize / SIZE;
                    assert_eq!(first / boundary, (first + frames - 1) / boundary);
                }
                self.model.take(first, frames);
            }
            Err(AllocError::Boundary { .. }) => assert!(boundary.unwrap() < (size * SIZE) as u64),
            Err(AllocError::NoZone) => {
                let has_any =
                    |span: &Range<usize>| span.start.max(within.start) < span.end.min(within.end);
                assert!(!self.model.spans.iter().any(has_any));
            }
            Err(AllocError::OutOfMemory { .. }) => {
                assert_eq!(self.model.zone_with(size.max(align), &within), None);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn many(&mut self, order: u32, count: usize) {
        let mut blocks = vec![frame(0); count];
        let had = self.subject.allocate_many(Order::new(order).unwrap(), &mut blocks);
        for first in &blocks[..had] {
            self.model.take(first.number(), 1 << order);
        }
        if had < count {
            assert_eq!(self.model.zone_with(1 << order, &(0..FRAMES)), None);
        }
    }

    fn add(&mut self, range: &Range<u64>) {
        let frames = inside(range);
        let is_reserved = |frame| self.model.frames[frame] == State::Reserved;
        let is_new = !frames.is_empty() && frames.clone().all(is_reserved);
        let added = self.subject.add(addresses(range));
        assert_eq!(added.is_ok(), is_new, "{added:?}");
        if is_new {
            self.model.set(frames, State::Free);
        }
    }

    fn remove(&mut self, range: &Range<u64>) {
        let frames = range.start as usize / SIZE..(range.end as usize).div_ceil(SIZE);
        let is_free = |frame| self.model.frames[frame] == State::Free;
        let is_idle = !range.is_empty() && frames.clone().all(is_free);
        let removed = self.subject.remove(addresses(range));
        assert_eq!(removed.is_ok(), is_idle, "{removed:?}");
        if is_idle {
            self.model.set(frames, State::Reserved);
        }
    }

    fn give_back(&mut self, step: &Step) {
        match *step {
            Step::FreeAny(first, frames) => {
                let is_block = self.model.block(first) == Some(frames);
                assert_eq!(self.subject.free_sized(frame(first), frames).is_ok(), is_block);
                if is_block {
                    self.model.set(first..first + frames, State::Free);
                }
                return;
            }
            Step::FreePartOfAny(first, frames) => return self.free_part(first, frames),
            _ => {}
        }
        let blocks = self.model.blocks();
        let (Step::Free(number)
        | Step::FreeSized(number, _)
        | Step::FreePart(number, ..)
        | Step::Split(number, _)) = *step
        else {
            return;
        };
        if blocks.is_empty() {
            return;
        }
        let first = blocks[number % blocks.len()];
        let frames = self.model.block(first).unwrap();
        match *step {
            Step::FreeSized(_, given) => {
                let given = given.unwrap_or(frames);
                let freed = self.subject.free_sized(frame(first), given);
                assert_eq!(freed.is_ok(), given == frames);
                if given == frames {
                    self.model.set(first..first + frames, State::Free);
                }
            }
            Step::FreePart(_, into, count) => self.free_part(first + into % frames, count),
            Step::Split(_, each) => {
                let split = self.subject.split(frame(first), frames, each);
                assert_eq!(split.ok(), (each > 0).then(|| frames.div_ceil(each)));
                let starts = (first..first + frames).step_by(each.max(1));
                for at in starts.filter(|_| each > 0) {
                    self.model.set(at..(at + each).min(first + frames), State::Used(at));
                }
            }
            _ => {
                assert_eq!(self.subject.free(frame(first)), Ok(frames));
                self.model.set(first..first + frames, State::Free);
            }
        }
    }

    fn free_part(&mut self, first: usize, count: usize) {
        let block = match self.model.frames.get(first) {
            Some(State::Used(block)) => *block..block + self.model.block(*block).unwrap(),
            _ => 0..0,
        };
        let is_part = count > 0 && first + count <= block.end;
        assert_eq!(self.subject.free_part(frame(first), count).is_ok(), is_part);
        if is_part {
            self.model.set(first..first + count, State::Free);
            self.model.set(first + count..block.end, State::Used(first + count));
        }
    }
}

/// Builds frames of the map and makes the calls.
pub(crate) fn agree<W: Word + Default, P: Policy>(
    map: &[MemoryRange],
    limits: [usize; ZONES],
    steps: impl IntoIterator<Item = Step>,
) {
    let zones = zones(limits);
    let bootstrap = Bootstrap::new(map.to_vec()).zones(zones);
    let model = Model::new(map, &zones);
    let needed = match bootstrap.metadata_words::<W, P, SIZE>() {
        Ok(needed) => needed,
        Err(error) => {
            assert_eq!(error, BootstrapError::NoMemory);
            assert!(model.spans.iter().all(Range::is_empty));
            return;
        }
    };
    let mut words: Vec<W> = (0..needed).map(|_| W::default()).collect();
    let subject = bootstrap.build_in(&mut words).unwrap();
    let mut pair = Pair::<W, P> { model, subject };
    pair.model.agrees_with(&pair.subject);
    for step in steps {
        pair.step(&step);
    }
}
