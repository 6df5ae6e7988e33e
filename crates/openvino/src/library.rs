//! The library, and having it compile models.

use crate::c_api::{Functions, Handle, PartialShape, Status, Version};
use crate::compiled::Compiled;
use crate::error::OpenVinoError;
use std::ffi::{CStr, CString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

/// OpenVINO, loaded. Clones are the same one.
#[derive(Clone)]
pub struct OpenVino {
    core: Arc<Core>,
}

/// The library with its one core, which is never given back: what the library ends at the end of the process it ends itself.
struct Core {
    functions: &'static Functions,
    handle: Handle,
    version: String,
    path: PathBuf,
}

#[expect(unsafe_code, reason = "the library says so")]
// SAFETY: reading and compiling models, and asking for properties, is safe from several threads (OpenVINO's documentation of `ov::Core`).
unsafe impl Send for Core {}
#[expect(unsafe_code, reason = "the library says so")]
// SAFETY: as above.
unsafe impl Sync for Core {}

/// In which arithmetic a model is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Single.
    F32,
    /// Factors of 8 bits of a fraction, sums in single.
    Bf16,
    /// Half.
    F16,
}

impl Precision {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        self.hint().to_str().unwrap_or_default()
    }

    /// As the library writes it in its hint.
    const fn hint(self) -> &'static CStr {
        match self {
            Self::F32 => c"f32",
            Self::Bf16 => c"bf16",
            Self::F16 => c"f16",
        }
    }

    /// As the library writes it among what the processor can do.
    const fn capability(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::Bf16 => "BF16",
            Self::F16 => "FP16",
        }
    }
}

/// How a model is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileOptions {
    /// Threads that one run may use, at least 1.
    pub threads: usize,
    /// In which arithmetic.
    pub precision: Precision,
}

impl OpenVino {
    /// Loads the C library (`libopenvino_c.so` or what it is called elsewhere) at `path`. Its plugin for the processor is looked for
    /// beside it.
    ///
    /// # Errors
    /// When it cannot be loaded, is too old to have what is called here, or does not start.
    pub fn load(path: &Path) -> Result<Self, OpenVinoError> {
        // Threads of the library may still run in it when the process ends.
        let functions: &'static Functions = Box::leak(Box::new(Functions::load(path)?));
        let mut version = Version { build_number: ptr::null(), description: ptr::null() };
        let mut core = ptr::null_mut();
        #[expect(unsafe_code, reason = "calls of a C library")]
        // SAFETY: both calls write to what they are given, and the texts are copied before they are freed.
        let (status, said) = unsafe {
            let status = (functions.get_openvino_version)(&raw mut version);
            let said = if status == 0 { text(version.build_number) } else { String::new() };
            (functions.version_free)(&raw mut version);
            (if status == 0 { (functions.core_create)(&raw mut core) } else { status }, said)
        };
        functions.check(status, "starting OpenVINO")?;
        // `2026.4.1-22982-e213a147257-releases/2026/4`
        let version = said.split('-').next().unwrap_or_default().to_owned();
        Ok(Self { core: Arc::new(Core { functions, handle: core, version, path: path.to_owned() }) })
    }

    /// Version, as `2026.4.1`.
    pub fn version(&self) -> &str {
        &self.core.version
    }

    /// The library that was loaded.
    pub fn path(&self) -> &Path {
        &self.core.path
    }

    /// Whether the processor computes in this arithmetic by instructions of its own.
    ///
    /// # Errors
    /// When there is no plugin for the processor.
    pub fn computes(&self, precision: Precision) -> Result<bool, OpenVinoError> {
        let Core { functions, handle: core, .. } = *self.core;
        let mut said = ptr::null_mut();
        #[expect(unsafe_code, reason = "calls of a C library")]
        // SAFETY: all texts end with a zero, and the answer is copied before it is freed.
        let (status, said) = unsafe {
            let key = c"OPTIMIZATION_CAPABILITIES";
            let status = (functions.core_get_property)(core, CPU.as_ptr(), key.as_ptr(), &raw mut said);
            let copy = if status == 0 { text(said) } else { String::new() };
            if status == 0 {
                (functions.free)(said);
            }
            (status, copy)
        };
        functions.check(status, "asking what the processor can do")?;
        let mut words = said.split(|c: char| !c.is_ascii_alphanumeric());
        Ok(words.any(|word| word == precision.capability()))
    }

    /// Compiles the ONNX model `onnx`, which holds its weights itself and has one input, for an input of the dimensions `dims`.
    ///
    /// # Errors
    /// When the bytes are no model, use what the library does not know, or cannot be run with these dimensions.
    pub fn compile(
        &self,
        onnx: &[u8],
        dims: &[u64],
        options: CompileOptions,
    ) -> Result<Compiled, OpenVinoError> {
        let Core { functions, handle: core, .. } = *self.core;
        let model = self.read(onnx)?;
        let mut limits: Vec<[i64; 2]> = dims.iter().map(|&dim| [dim as i64; 2]).collect();
        let shape = PartialShape { rank: [dims.len() as i64; 2], dims: limits.as_mut_ptr() };
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the model is one, and the shape has as many dimensions as its rank says, which are only read.
        let status = unsafe { (functions.model_reshape_single_input)(model.0, shape) };
        functions.check(status, "setting the dimensions of the input")?;
        let threads = CString::new(options.threads.max(1).to_string()).expect("a number has no zero byte");
        // With threads pinned, two sessions side by side compute on one core and leave the other idle.
        let mode = if options.precision == Precision::F32 { c"ACCURACY" } else { c"PERFORMANCE" };
        let properties = [
            (c"INFERENCE_PRECISION_HINT", options.precision.hint()),
            (c"EXECUTION_MODE_HINT", mode),
            (c"INFERENCE_NUM_THREADS", threads.as_c_str()),
            (c"NUM_STREAMS", c"1"),
            (c"ENABLE_CPU_PINNING", c"NO"),
        ];
        let [(k0, v0), (k1, v1), (k2, v2), (k3, v3), (k4, v4)] =
            properties.map(|(key, value)| (key.as_ptr(), value.as_ptr()));
        let mut compiled = ptr::null_mut();
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the call takes as many more arguments as it is told, each a text that ends with a zero and lives until it returns.
        let status = unsafe {
            (functions.core_compile_model)(
                core,
                model.0,
                CPU.as_ptr(),
                2 * properties.len(),
                &raw mut compiled,
                k0,
                v0,
                k1,
                v1,
                k2,
                v2,
                k3,
                v3,
                k4,
                v4,
            )
        };
        functions.check(status, "compiling the model")?;
        Compiled::new(functions, compiled)
    }

    fn read(&self, onnx: &[u8]) -> Result<Owned, OpenVinoError> {
        let Core { functions, handle: core, .. } = *self.core;
        let mut model = ptr::null_mut();
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: the bytes are read, as many as there are; no weights are given beside them.
        let status = unsafe {
            (functions.core_read_model_from_memory_buffer)(
                core,
                onnx.as_ptr().cast(),
                onnx.len(),
                ptr::null_mut(),
                &raw mut model,
            )
        };
        functions.check(status, "reading the model")?;
        Ok(Owned(model, functions.model_free))
    }
}

impl fmt::Debug for OpenVino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenVino({} in {})", self.version(), self.path().display())
    }
}

/// The processor, as the library names it.
const CPU: &CStr = c"CPU";

/// Something of the library that is freed with this.
pub(crate) struct Owned(pub(crate) Handle, pub(crate) unsafe extern "C" fn(Handle));

impl Drop for Owned {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a call of a C library")]
        // SAFETY: it was made by the library, and nothing else frees it.
        unsafe {
            (self.1)(self.0);
        }
    }
}

impl Functions {
    /// What the library said, where a call failed while `doing` something.
    pub(crate) fn check(&self, status: Status, doing: &'static str) -> Result<(), OpenVinoError> {
        if status == 0 {
            return Ok(());
        }
        #[expect(unsafe_code, reason = "calls of a C library")]
        // SAFETY: the text, where there is one, is ours, and is copied before it is freed.
        let said = unsafe {
            let said = (self.get_last_err_msg)();
            let copy = text(said);
            if !said.is_null() {
                (self.free)(said);
            }
            copy
        };
        let reason = if said.trim().is_empty() { format!("status {status}") } else { tidy(&said) };
        Err(OpenVinoError::Call { doing, reason })
    }
}

/// A message without the lines that say where in the library's own source it was thrown.
fn tidy(said: &str) -> String {
    let own = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("Exception from src/") && !line.starts_with("Check '")
    };
    let kept: Vec<&str> = said.lines().filter(own).map(str::trim).collect();
    if kept.is_empty() { said.trim().replace('\n', " ") } else { kept.join(" ") }
}

/// A text of the library; empty where there is none.
#[expect(unsafe_code, reason = "a text of a C library")]
// SAFETY: callers give a null pointer or a text that ends with a zero.
unsafe fn text(said: *const std::ffi::c_char) -> String {
    if said.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned()
}
