//! What `CreateProcessW` is told beside its arguments: which handles the child gets, and the jobs it is born into.

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    DeleteProcThreadAttributeList, InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST,
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST, UpdateProcThreadAttribute,
};

use super::cvt;

/// A list of attributes. It points into the slices that it was made from.
pub(super) struct Attributes<'a> {
    /// Of the greatest alignment that there is.
    memory: Vec<u128>,
    _of: (&'a [HANDLE], &'a [HANDLE]),
}

impl<'a> Attributes<'a> {
    /// With neither handles nor jobs it is empty.
    ///
    /// # Errors
    ///
    /// A kind of attribute that this system doesn't know.
    pub(super) fn new(handles: &'a [HANDLE], jobs: &'a [HANDLE]) -> io::Result<Self> {
        let count = u32::from(!handles.is_empty()) + u32::from(!jobs.is_empty());
        let mut size = 0;
        // SAFETY: asks for a size; it fails, and tells.
        unsafe { InitializeProcThreadAttributeList(null_mut(), count, 0, &raw mut size) };
        let mut memory = vec![0u128; size.div_ceil(size_of::<u128>()).max(1)];
        // SAFETY: the memory is of the size that was asked for, and stays where it is.
        cvt(unsafe {
            InitializeProcThreadAttributeList(memory.as_mut_ptr().cast(), count, 0, &raw mut size)
        })?;
        let mut attributes = Self { memory, _of: (handles, jobs) };
        attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles)?;
        attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, jobs)?;
        Ok(attributes)
    }

    fn set(&mut self, which: u32, handles: &'a [HANDLE]) -> io::Result<()> {
        if handles.is_empty() {
            return Ok(());
        }
        let (list, value) = (self.as_ptr(), handles.as_ptr().cast::<c_void>());
        let size = size_of_val(handles);
        // SAFETY: the list was initialised, and the slice outlives it.
        cvt(unsafe { UpdateProcThreadAttribute(list, 0, which as usize, value, size, null_mut(), null()) })
    }

    pub(super) fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.memory.as_mut_ptr().cast()
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and nobody uses it any more.
        unsafe { DeleteProcThreadAttributeList(self.as_ptr()) };
    }
}
