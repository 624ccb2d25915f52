//! Page frames against a naive model: nasty memory maps, random calls, misuse, threads.

mod calls;
mod maps;
mod misuse;
mod model;
mod pair;
mod placement;
mod properties;
mod slabs;
mod statistics;
mod threads;
