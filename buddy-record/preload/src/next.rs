//! The functions that come next: the C library's, or another allocator's that is loaded behind.

use std::ffi::{CStr, c_int, c_void};
use std::mem::transmute;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        pub(crate) struct Next {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Next {
            fn find() -> Self {
                $(
                    let found = symbol(c_str(concat!(stringify!($name), "\0")));
                    // SAFETY: the function of that name has this type in every C library.
                    let $name = unsafe {
 transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found)
 };
                )*
                Self { $($name),* }
            }
        }
    };
}

functions! {
    malloc: fn(usize) -> *mut c_void;
    calloc: fn(usize, usize) -> *mut c_void;
    realloc: fn(*mut c_void, usize) -> *mut c_void;
    free: fn(*mut c_void);
    posix_memalign: fn(*mut *mut c_void, usize, usize) -> c_int;
    aligned_alloc: fn(usize, usize) -> *mut c_void;
    memalign: fn(usize, usize) -> *mut c_void;
    malloc_usable_size: fn(*mut c_void) -> usize;
}

/// The next functions, or `None` while they are looked for: `dlsym` itself may allocate.
#[inline]
pub(crate) fn next() -> Option<&'static Next> {
    static NEXT: OnceLock<Next> = OnceLock::new();
    static STARTED: AtomicBool = AtomicBool::new(false);
    let known = NEXT.get();
    if known.is_some() || STARTED.swap(true, Relaxed) {
        return known;
    }
    let _ = NEXT.set(Next::find());
    NEXT.get()
}

fn c_str(name: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or_default()
}

/// A function of the libraries behind this one. Without it the program cannot go on.
fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: a name that ends in a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if found.is_null() {
        // SAFETY: it does not return, and nothing is left to be done.
        unsafe { libc::abort() };
    }
    found
}
