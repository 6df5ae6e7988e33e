//! A compiled model, and running it.

use crate::c_api::{Functions, Handle, Shape};
use crate::error::OpenVinoError;
use crate::library::Owned;
use half::f16;
use std::ptr;

/// A model compiled for the processor, with the memory of one run. It runs on threads of its own, one run at a time.
pub struct Compiled {
    // Freed in this order.
    output: Option<Owned>,
    input: Owned,
    request: Owned,
    _model: Owned,
    functions: &'static Functions,
}

#[expect(unsafe_code, reason = "the library says so")]
// SAFETY: what is in it is used by one thread at a time, and by no particular one.
unsafe impl Send for Compiled {}

/// A number that tensors hold, of which every pattern of bits is one.
pub trait Number: Copy + private::Sealed {}

mod private {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty)+) => {
        $(impl private::Sealed for $number {} impl Number for $number {})+
    };
}

numbers!(f32 f64 f16 i8 i16 i32 i64 u8 u16 u32 u64);

impl Compiled {
    pub(crate) fn new(functions: &'static Functions, compiled: Handle) -> Result<Self, OpenVinoError> {
        let compiled = Owned(compiled, functions.compiled_model_free);
        let (mut request, mut input) = (ptr::null_mut(), ptr::null_mut());
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the model is compiled, and what is made of it is written where it says.
        let status = unsafe { (functions.compiled_model_create_infer_request)(compiled.0, &raw mut request) };
        functions.check(status, "taking memory for a run")?;
        let request = Owned(request, functions.infer_request_free);
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: as above.
        let status = unsafe { (functions.infer_request_get_input_tensor)(request.0, &raw mut input) };
        functions.check(status, "taking the input")?;
        let input = Owned(input, functions.tensor_free);
        Ok(Self { output: None, input, request, _model: compiled, functions })
    }

    /// Runs the model on `input`, which is as long as its dimensions say.
    ///
    /// # Errors
    /// When the input of the model holds another number of bytes, or the run fails.
    pub fn run<T: Number>(&mut self, input: &[T]) -> Result<(), OpenVinoError> {
        let (data, bytes) = self.memory(&self.input, "input")?;
        if bytes != size_of_val(input) {
            return Err(OpenVinoError::Bytes { what: "input", found: bytes, expected: size_of_val(input) });
        }
        #[expect(unsafe_code, reason = "memory of a C library")]
        // SAFETY: the tensor holds as many bytes as are copied, and nobody else looks at it: no run is on its way.
        unsafe {
            ptr::copy_nonoverlapping(input.as_ptr().cast::<u8>(), data, bytes);
        }
        self.infer()
    }

    /// Runs the model on zeros.
    pub(crate) fn run_blank(&mut self) -> Result<(), OpenVinoError> {
        let (data, bytes) = self.memory(&self.input, "input")?;
        #[expect(unsafe_code, reason = "memory of a C library")]
        // SAFETY: as when numbers are copied to it.
        unsafe {
            ptr::write_bytes(data, 0, bytes);
        }
        self.infer()
    }

    fn infer(&mut self) -> Result<(), OpenVinoError> {
        self.output = None;
        let mut output = ptr::null_mut();
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the request is one, and no run of it is on its way.
        let status = unsafe { (self.functions.infer_request_infer)(self.request.0) };
        self.functions.check(status, "running the model")?;
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the request is one, and has one output.
        let status =
            unsafe { (self.functions.infer_request_get_output_tensor)(self.request.0, &raw mut output) };
        self.functions.check(status, "taking the output")?;
        self.output = Some(Owned(output, self.functions.tensor_free));
        Ok(())
    }

    /// Dimensions of what the last run gave; none before there was one.
    ///
    /// # Errors
    /// When the library fails.
    pub fn output_dims(&self) -> Result<Vec<u64>, OpenVinoError> {
        let Some(output) = &self.output else { return Ok(Vec::new()) };
        let mut shape = Shape { rank: 0, dims: ptr::null_mut() };
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the tensor is one, and its dimensions are written where it says.
        let status = unsafe { (self.functions.tensor_get_shape)(output.0, &raw mut shape) };
        self.functions.check(status, "looking at the output")?;
        let rank = usize::try_from(shape.rank).unwrap_or(0);
        if rank == 0 || shape.dims.is_null() {
            return Ok(Vec::new());
        }
        #[expect(unsafe_code, reason = "memory and calls of a C library")]
        // SAFETY: there are as many dimensions as the rank says, and they are copied before they are freed.
        let dims = unsafe {
            let dims = std::slice::from_raw_parts(shape.dims, rank).iter().map(|&dim| dim as u64).collect();
            (self.functions.shape_free)(&raw mut shape);
            dims
        };
        Ok(dims)
    }

    /// What the last run gave, `count` numbers. The type is not looked at: its size is.
    ///
    /// # Errors
    /// When nothing was run, or it gave another number of bytes.
    pub fn output<T: Number>(&self, count: usize) -> Result<&[T], OpenVinoError> {
        let expected = count * size_of::<T>();
        let Some(output) = &self.output else {
            return Err(OpenVinoError::Bytes { what: "output", found: 0, expected });
        };
        let (data, found) = self.memory(output, "output")?;
        if found != expected || !data.cast::<T>().is_aligned() {
            return Err(OpenVinoError::Bytes { what: "output", found, expected });
        }
        #[expect(unsafe_code, reason = "memory of a C library")]
        // SAFETY: so many bytes are there, every pattern of which is a number, and the next run needs this to be borrowed no longer.
        Ok(unsafe { std::slice::from_raw_parts(data.cast::<T>(), count) })
    }

    /// Where a tensor's numbers are, and how many bytes of them.
    fn memory(&self, tensor: &Owned, what: &'static str) -> Result<(*mut u8, usize), OpenVinoError> {
        let (mut data, mut bytes) = (ptr::null_mut(), 0);
        #[expect(unsafe_code, reason = "calls of a C library")]
        // SAFETY: the tensor is one, and both calls write where they are told.
        let status = unsafe {
            match (self.functions.tensor_get_byte_size)(tensor.0, &raw mut bytes) {
                0 => (self.functions.tensor_data)(tensor.0, &raw mut data),
                failed => failed,
            }
        };
        self.functions.check(status, "looking at a tensor")?;
        if data.is_null() {
            return Err(OpenVinoError::Bytes { what, found: 0, expected: bytes });
        }
        Ok((data.cast(), bytes))
    }
}
