//! Page frames against a naive model: nasty memory maps, random calls, misuse, threads.

mod calls;
mod magazine;
mod maps;
mod misuse;
mod model;
mod pair;
mod placement;
mod properties;
mod statistics;
mod threads;
