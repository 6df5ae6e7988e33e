//! The functions of the C library that are called, with their types as its headers give them (`openvino/c/openvino.h`).

use crate::OpenVinoError;
use libloading::Library;
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// What every call gives back: 0 where it went well.
pub(crate) type Status = c_int;

/// `ov_shape_t`.
#[repr(C)]
pub(crate) struct Shape {
    pub(crate) rank: i64,
    pub(crate) dims: *mut i64,
}

/// `ov_partial_shape_t`: a rank with its lower and upper limit, and as many dimensions.
#[repr(C)]
pub(crate) struct PartialShape {
    pub(crate) rank: [i64; 2],
    pub(crate) dims: *mut [i64; 2],
}

/// `ov_version_t`.
#[repr(C)]
pub(crate) struct Version {
    pub(crate) build_number: *const c_char,
    pub(crate) description: *const c_char,
}

/// Something of the library, by its address.
pub(crate) type Handle = *mut c_void;

macro_rules! functions {
    ($($name:ident: $type:ty,)+) => {
        /// The functions, by their names without `ov_`.
        pub(crate) struct Functions {
            $(pub(crate) $name: $type,)+
            /// They lie in it.
            _library: Library,
        }

        impl Functions {
            /// Loads the library at `path`, and whatever lies beside it that it needs.
            pub(crate) fn load(path: &Path) -> Result<Self, OpenVinoError> {
                let refused =
                    |error: libloading::Error| OpenVinoError::Library { reason: error.to_string() };
                #[expect(unsafe_code, reason = "a library is code")]
                // SAFETY: what it does when it is loaded is to set up itself; whoever names the file trusts what is in it.
                let library = unsafe { Library::new(path) }.map_err(refused)?;
                $(
                    #[expect(unsafe_code, reason = "a function is taken to have the type that its header gives")]
                    // SAFETY: the type is that of the header, and the function lives no longer than the library beside it.
                    let $name = unsafe { library.get::<$type>(concat!("ov_", stringify!($name), "\0").as_bytes()) }
                        .map(|symbol| *symbol)
                        .map_err(refused)?;
                )+
                Ok(Self { $($name,)+ _library: library })
            }
        }
    };
}

functions! {
    get_openvino_version: unsafe extern "C" fn(*mut Version) -> Status,
    version_free: unsafe extern "C" fn(*mut Version),
    get_last_err_msg: unsafe extern "C" fn() -> *const c_char,
    free: unsafe extern "C" fn(*const c_char),
    core_create: unsafe extern "C" fn(*mut Handle) -> Status,
    core_get_property: unsafe extern "C" fn(Handle, *const c_char, *const c_char, *mut *mut c_char) -> Status,
    core_read_model_from_memory_buffer: unsafe extern "C" fn(Handle, *const c_char, usize, Handle, *mut Handle) -> Status,
    core_compile_model: unsafe extern "C" fn(Handle, Handle, *const c_char, usize, *mut Handle, ...) -> Status,
    model_reshape_single_input: unsafe extern "C" fn(Handle, PartialShape) -> Status,
    model_free: unsafe extern "C" fn(Handle),
    compiled_model_create_infer_request: unsafe extern "C" fn(Handle, *mut Handle) -> Status,
    compiled_model_free: unsafe extern "C" fn(Handle),
    infer_request_get_input_tensor: unsafe extern "C" fn(Handle, *mut Handle) -> Status,
    infer_request_get_output_tensor: unsafe extern "C" fn(Handle, *mut Handle) -> Status,
    infer_request_infer: unsafe extern "C" fn(Handle) -> Status,
    infer_request_free: unsafe extern "C" fn(Handle),
    tensor_data: unsafe extern "C" fn(Handle, *mut *mut c_void) -> Status,
    tensor_get_byte_size: unsafe extern "C" fn(Handle, *mut usize) -> Status,
    tensor_get_shape: unsafe extern "C" fn(Handle, *mut Shape) -> Status,
    tensor_free: unsafe extern "C" fn(Handle),
    shape_free: unsafe extern "C" fn(*mut Shape) -> Status,
}
