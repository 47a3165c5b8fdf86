//! Every limit by name, unit last, with the presets of the two clouds.

/// Which cloud's words and shapes the answers have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// Alibaba Cloud Function Compute.
    FunctionCompute,
    /// Huawei Cloud FunctionGraph.
    FunctionGraph,
}

/// The numbers that the two clouds document, every one configurable.
///
/// Sources: `spec/rows.md` (rows named per field) and section 9 of `spec/alibaba-fc.md`, A11 of
/// `spec/functiongraph-lambda.md`. Where one cloud is silent it has the other's value.
///
/// ```
/// use fc_core::Limits;
/// let limits = Limits { timeout_s_max: 60, ..Limits::function_compute() };
/// assert_eq!(limits.request_body_bytes_max, 32 * 1024 * 1024);
/// assert_eq!(Limits::function_graph().request_body_bytes_max, 6 * 1024 * 1024 + 100);
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Whose presets these are.
    pub dialect: Dialect,

    // INV-6, HTT-2: what passes the gateway.
    /// Synchronous request body, bytes (INV-6).
    pub request_body_bytes_max: u64,
    /// Synchronous response body, bytes (INV-6; FC states none).
    pub response_body_bytes_max: Option<u64>,
    /// Asynchronous request body, bytes (INV-6).
    pub async_request_body_bytes_max: u64,
    /// Request header names and values in all, bytes (HTT-2).
    pub request_headers_bytes_max: u64,
    /// Path with query, bytes (HTT-2).
    pub path_bytes_max: u64,
    /// Response header names and values in all, bytes (HTT-2).
    pub response_headers_bytes_max: u64,
    /// What `X-Fc-Log-Type: Tail` returns, bytes (INV-9).
    pub log_tail_bytes_max: u64,

    // INV-7, SCH: time and instances.
    /// A function's time-out, seconds, least and most (INV-7).
    pub timeout_s_min: u32,
    /// See [`Limits::timeout_s_min`].
    pub timeout_s_max: u32,
    /// Requests at once in one instance (SCH-1).
    pub instance_concurrency_max: u32,
    /// How long an on-demand instance may idle, seconds, unless the function says (SCH-3).
    pub idle_timeout_s_default: u32,
    /// What a function may say (delayed release, `alibaba-fc.md` 4.3).
    pub idle_timeout_s_max: u32,
    /// Life of an instance, seconds (SCH-6).
    pub instance_life_s_max: u32,
    /// The function's server must listen within this, milliseconds (RUN-2).
    pub ready_ms_max: u64,
    /// Initializer, seconds (SCH-8).
    pub initializer_s_max: u32,
    /// PreFreeze hook, seconds (SCH-7).
    pub pre_freeze_s_max: u32,
    /// PreStop hook, seconds (SCH-7).
    pub pre_stop_s_max: u32,
    /// How long a new instance has more CPU, seconds (QUO-5); 0: never. For runtimes that declare to
    /// enforce CPU: without it, all is to be had anyway.
    pub cpu_boost_s_max: u32,
    /// How many times its CPU it has then, up to [`Limits::cpu_milli_max`]. Neither cloud says.
    pub cpu_boost_factor: u32,
    /// On-demand instances of one function (SCH-10), unless the function says fewer.
    pub instances_per_function_max: u32,
    /// Requests that may wait for one function's capacity (SCH-9).
    pub waiting_per_function_max: u32,
    /// How long a request waits for capacity that nobody is starting, milliseconds (SCH-9).
    pub capacity_wait_ms_max: u64,

    // QUO-5: size of an instance.
    /// Step and range of vCPU, thousandths.
    pub cpu_milli_step: u32,
    /// See [`Limits::cpu_milli_step`].
    pub cpu_milli_min: u32,
    /// See [`Limits::cpu_milli_step`].
    pub cpu_milli_max: u32,
    /// Step and range of memory, MB.
    pub memory_mb_step: u32,
    /// See [`Limits::memory_mb_step`].
    pub memory_mb_min: u32,
    /// See [`Limits::memory_mb_step`].
    pub memory_mb_max: u32,
    /// The only memory sizes, MB, if the cloud has classes (FG); empty: any in the range.
    pub memory_mb_classes: &'static [u32],
    /// Most GB of memory for one vCPU; the least is 1. None: vCPU follows from memory (FG).
    pub memory_gb_per_cpu_max: Option<u32>,

    // QUO-6: an instance's edges.
    /// Sizes of the private disk, MB.
    pub disk_mb_choices: &'static [u32],
    /// Open files of one instance: for runtimes that declare to enforce it.
    pub open_files_max: u32,
    /// Processes and threads of one instance: for runtimes that declare to enforce it.
    pub processes_max: u32,
    /// Bandwidth of one instance, Mbit/s: for networks that can.
    pub bandwidth_mbit_max: u32,

    // QUO-7: counts.
    /// Functions of an account.
    pub functions_per_account_max: u32,
    /// Bytes of all code packages of an account.
    pub code_per_account_bytes_max: u64,
    /// Versions of a function, LATEST included.
    pub versions_per_function_max: u32,
    /// Aliases of a function.
    pub aliases_per_function_max: u32,
    /// Triggers of a version: today there is one kind, of which a version has at most one (HTT-4).
    pub triggers_per_version_max: u32,
    /// Characters of all environment names and values.
    pub environment_chars_max: u32,
    /// Tags of a function.
    pub tags_max: u32,
    /// Characters of a function's name.
    pub function_name_chars_max: u32,
    /// Characters of a description.
    pub description_chars_max: u32,
    /// Characters of a handler.
    pub handler_chars_max: u32,

    // QUO-8: code.
    /// Package inside the API call, bytes.
    pub code_inline_bytes_max: u64,
    /// Package from object storage, bytes.
    pub code_packed_bytes_max: u64,
    /// The same unpacked, bytes.
    pub code_unpacked_bytes_max: u64,
    /// Container image, bytes.
    pub image_bytes_max: u64,
}

const KB: u64 = 1024;
const MB: u64 = 1024 * KB;
const GB: u64 = 1024 * MB;

/// FunctionGraph's memory classes, MB (`functiongraph-lambda.md` A1).
const GRAPH_MEMORY_MB: &[u32] =
    &[128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 8192, 10_240];

impl Limits {
    /// Alibaba Cloud Function Compute.
    pub const fn function_compute() -> Self {
        Self {
            dialect: Dialect::FunctionCompute,
            request_body_bytes_max: 32 * MB,
            response_body_bytes_max: None,
            async_request_body_bytes_max: 128 * KB,
            request_headers_bytes_max: 8 * KB,
            path_bytes_max: 8 * KB,
            response_headers_bytes_max: 8 * KB,
            log_tail_bytes_max: 4 * KB,
            timeout_s_min: 1,
            timeout_s_max: 86_400,
            instance_concurrency_max: 200,
            idle_timeout_s_default: 300,
            idle_timeout_s_max: 3_600,
            instance_life_s_max: 36 * 3_600,
            ready_ms_max: 120_000,
            initializer_s_max: 300,
            pre_freeze_s_max: 90,
            pre_stop_s_max: 90,
            cpu_boost_s_max: 20,
            cpu_boost_factor: 2,
            instances_per_function_max: 300,
            waiting_per_function_max: 1_000,
            capacity_wait_ms_max: 10_000,
            cpu_milli_step: 50,
            cpu_milli_min: 50,
            cpu_milli_max: 16_000,
            memory_mb_step: 64,
            memory_mb_min: 128,
            memory_mb_max: 32 * 1024,
            memory_mb_classes: &[],
            memory_gb_per_cpu_max: Some(4),
            disk_mb_choices: &[512, 10_240],
            open_files_max: 2_048,
            processes_max: 1_024,
            bandwidth_mbit_max: 1_000,
            functions_per_account_max: 400,
            code_per_account_bytes_max: 10 * GB,
            versions_per_function_max: 20,
            aliases_per_function_max: 10,
            triggers_per_version_max: 10,
            environment_chars_max: 4_096,
            tags_max: 20,
            function_name_chars_max: 128,
            description_chars_max: 256,
            handler_chars_max: 128,
            code_inline_bytes_max: 50 * MB,
            code_packed_bytes_max: 300 * MB,
            code_unpacked_bytes_max: 1_500 * MB,
            image_bytes_max: 10 * GB,
        }
    }

    /// Huawei Cloud FunctionGraph.
    pub const fn function_graph() -> Self {
        Self {
            dialect: Dialect::FunctionGraph,
            // "± 100 bytes" (INV-6): what is refused is surely over, what is taken is surely not.
            request_body_bytes_max: 6 * MB + 100,
            response_body_bytes_max: Some(6 * MB + 100),
            async_request_body_bytes_max: 256 * KB,
            timeout_s_max: 259_200,
            instance_concurrency_max: 1_000,
            idle_timeout_s_default: 60,
            instances_per_function_max: 400,
            memory_mb_max: 10 * 1024,
            memory_mb_classes: GRAPH_MEMORY_MB,
            memory_gb_per_cpu_max: None,
            function_name_chars_max: 60,
            ..Self::function_compute()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::function_compute()
    }
}
