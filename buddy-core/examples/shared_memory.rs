//! Two processes and one tree, in a file that both map. Either allocates, either frees; one is killed,
//! the other finds by a walk what the dead one held.
//!
//! Blocks are leaf numbers, the same in every process, wherever it maps the file:
//!
//! ```text
//! | the tree's words | leaf 0 | leaf 1 | ...
//! ```

use buddy_core::{Atomic, Kind, Order, Tree};
use memmap2::{MmapOptions, MmapRaw};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, process, ptr, slice};

const LEAVES: usize = 1024;
const LEAF: usize = 64;
const WORDS: usize = Tree::<&[Atomic]>::metadata_words(0..LEAVES);
const DATA: usize = (WORDS * size_of::<Atomic>()).next_multiple_of(LEAF);

/// The file, mapped.
struct Pool(MmapRaw);

impl Pool {
    fn map(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        file.set_len((DATA + LEAVES * LEAF) as u64)?;
        Ok(Self(MmapOptions::new().map_raw(&file)?))
    }

    fn metadata(&self) -> &[Atomic] {
        #[allow(clippy::cast_ptr_alignment, reason = "a mapping starts on a page")]
        let words = self.0.as_mut_ptr().cast::<Atomic>();
        // SAFETY: the words lie at the start of the mapping; any bytes are valid atomic integers, and
        // every process uses them as such.
        unsafe { slice::from_raw_parts(words, WORDS) }
    }

    /// Writes to a block, which must be the caller's.
    fn write(&self, first: usize, leaves: usize, text: &str) {
        assert!(first + leaves <= LEAVES && text.len() < leaves * LEAF);
        let start = self.0.as_mut_ptr().wrapping_add(DATA + first * LEAF);
        // SAFETY: the leaves lie in the mapping, and the block belongs to the caller.
        unsafe { start.write_bytes(0, leaves * LEAF) };
        // SAFETY: as above; the text is shorter than the block.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), start, text.len()) };
    }

    /// Reads from a block, which must be the caller's.
    fn read(&self, first: usize, leaves: usize) -> String {
        assert!(first + leaves <= LEAVES);
        let start = self.0.as_ptr().wrapping_add(DATA + first * LEAF);
        // SAFETY: the leaves lie in the mapping, and the block belongs to the caller.
        let bytes = unsafe { slice::from_raw_parts(start, leaves * LEAF) };
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

/// The other process: allocates, writes, says where, and waits to be killed.
fn writer(path: &Path) -> Result<(), Box<dyn Error>> {
    let pool = Pool::map(path)?;
    let tree: Tree<_> = Tree::attach(pool.metadata())?;
    for leaves in [2, 5, 16, 3, 40] {
        let first = tree.allocate_exact(leaves)?;
        pool.write(first, leaves, &format!("{leaves} leaves of process {}", process::id()));
        println!("{first}");
    }
    // No line more will come.
    io::stdin().read_to_string(&mut String::new())?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = env::args_os().nth(1) {
        return writer(Path::new(&path));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pool");
    File::create(&path)?;
    let pool = Pool::map(&path)?;
    let tree: Tree<_> = Tree::new(pool.metadata(), 0..LEAVES)?;
    println!("{} leaves of {LEAF} bytes, {WORDS} words of metadata", tree.free_leaves());

    let mut other = Command::new(env::current_exe()?)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let blocks = BufReader::new(other.stdout.take().ok_or("no pipe")?).lines().take(5);
    let blocks: Vec<usize> =
        blocks.map(|line| Ok(line?.parse()?)).collect::<Result<_, Box<dyn Error>>>()?;

    println!("the other process allocated, this one reads and frees:");
    for &first in &blocks[..2] {
        let leaves = tree.leaves_of(first)?;
        println!("  leaf {first:>3}: {:?}", pool.read(first, leaves));
        tree.free_sized(first, leaves)?;
    }

    other.kill()?;
    other.wait()?;
    println!("the other process is killed; this one goes on");
    let own = tree.allocate(Order::for_leaves(8).ok_or("no such order")?)?;
    pool.write(own, 8, &format!("8 leaves of process {}", process::id()));

    // After a restart: another mapping, and a tree that is what the file says, proved valid.
    let pool = Pool::map(&path)?;
    let tree: Tree<_> = Tree::attach(pool.metadata())?;
    println!("in use after a restart:");
    let dead = format!("of process {}", other.id());
    for block in tree.walk().filter(|extent| extent.kind == Kind::Used) {
        let text = pool.read(block.first, block.leaves);
        let lost = text.ends_with(&dead);
        if lost {
            tree.free_sized(block.first, block.leaves)?;
        }
        println!("  leaf {:>3}: {text:?}{}", block.first, if lost { ", freed" } else { "" });
    }
    tree.validate()?;
    println!("{}", tree.statistics());
    Ok(())
}
