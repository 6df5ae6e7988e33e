//! The values of labels, as types: what is not listed here cannot become a series.

use crate::description::{LabelDescription, Values};

/// One label with a fixed set of values.
pub trait Label: Copy {
    /// Its name.
    const NAME: &'static str;
    /// Its values and their meanings.
    const VALUES: &'static [(&'static str, &'static str)];

    /// The value's place in [`VALUES`](Self::VALUES).
    fn index(self) -> usize;
}

/// All labels of a metric together.
pub trait Labels: Copy {
    /// What each is.
    const DESCRIPTIONS: &'static [LabelDescription];

    /// The index of these values among all combinations, the last label changing fastest.
    fn flat_index(self) -> usize;
}

impl<L: Label> Labels for L {
    const DESCRIPTIONS: &'static [LabelDescription] =
        &[LabelDescription { name: L::NAME, values: Values::Each(L::VALUES) }];

    fn flat_index(self) -> usize {
        self.index()
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const DESCRIPTIONS: &'static [LabelDescription] = &[
        LabelDescription { name: A::NAME, values: Values::Each(A::VALUES) },
        LabelDescription { name: B::NAME, values: Values::Each(B::VALUES) },
    ];

    fn flat_index(self) -> usize {
        self.0.index() * B::VALUES.len() + self.1.index()
    }
}

/// Makes an enum of each label, its documentation being the meanings in the generated page.
macro_rules! labels {
    ($(
        $(#[doc = $about:literal])+
        $label:ident as $name:literal {
            $($(#[doc = $meaning:literal])+ $value:ident = $text:literal,)+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $label {
            $($(#[doc = $meaning])+ $value,)+
        }

        impl Label for $label {
            const NAME: &'static str = $name;
            const VALUES: &'static [(&'static str, &'static str)] =
                &[$(($text, concat!($($meaning),+).trim_ascii())),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

labels! {
    /// What became of a task in a worker.
    TaskOutcome as "outcome" {
        /// Its tile was computed and stored.
        Stored = "stored",
        /// Its tile lay in the store already.
        Found = "found",
        /// It could not be computed, for now or for good.
        Failed = "failed",
        /// The worker stopped before it was finished; another one gets it.
        Abandoned = "abandoned",
    }

    /// What threads of a worker do for a task.
    Stage as "stage" {
        /// Reading and decoding windows of the image, and opening models.
        Read = "read",
        /// Turning pixels into what models take: resizing, views, normalising.
        Prepare = "prepare",
        /// Running models.
        Infer = "infer",
        /// Bringing views back and adding scores to the canvas.
        Stitch = "stitch",
        /// Encoding the tile and storing it.
        Store = "store",
    }

    /// What became of an image in an aggregator.
    ImageOutcome as "outcome" {
        /// Its outputs were written.
        Done = "done",
        /// Its outputs were there already.
        Found = "found",
        /// It could not be put together, for now or for good.
        Failed = "failed",
    }

    /// What became of a tile.
    TileOutcome as "outcome" {
        /// It was written to the store.
        Stored = "stored",
        /// It was read and did not hold what it should; its task is computed again.
        Damaged = "damaged",
    }

    /// Why a task or an image is sent once more.
    RetryReason as "reason" {
        /// The last try failed.
        Failure = "failure",
        /// Nothing was heard of the last try for too long.
        Overdue = "overdue",
    }

    /// What was given up.
    DeadLetterKind as "kind" {
        /// A task: one block of an image.
        Task = "task",
        /// A whole image.
        Image = "image",
    }

    /// A stream of messages.
    Topic as "topic" {
        /// Blocks to compute.
        Tasks = "tasks",
        /// What happened to them.
        Results = "results",
        /// Images to put together.
        Aggregate = "aggregate",
        /// What was given up.
        Dead = "dead",
    }

    /// What a store was asked to do.
    Operation as "operation" {
        /// Write an object.
        Put = "put",
        /// Read a whole object.
        Get = "get",
        /// Read a part of an object.
        GetRange = "get_range",
        /// Look whether an object is there, and how long it is.
        Head = "head",
        /// List objects.
        List = "list",
        /// Remove an object.
        Delete = "delete",
    }

    /// How a store answered.
    RequestOutcome as "outcome" {
        /// It did what was asked.
        Ok = "ok",
        /// There is no such object, which is often what the caller wanted to know.
        NotFound = "not_found",
        /// It does not allow it, or the key is none.
        Refused = "refused",
        /// It has no room left.
        Full = "full",
        /// It was away, slow or broken.
        Unavailable = "unavailable",
    }

    /// Which way bytes went.
    Direction as "direction" {
        /// From the store to this process.
        Read = "read",
        /// From this process to the store.
        Written = "written",
    }

    /// Whether something was at hand.
    CacheOutcome as "outcome" {
        /// It lay in the cache.
        Hit = "hit",
        /// It had to be fetched.
        Miss = "miss",
    }

    /// Tasks of the job that a coordinator follows.
    JobTaskState as "state" {
        /// All that the plan holds.
        All = "all",
        /// Those whose tile is stored.
        Done = "done",
    }

    /// Images of the job that a coordinator follows.
    JobImageState as "state" {
        /// All that the plan holds.
        All = "all",
        /// Those whose outputs are written.
        Done = "done",
        /// Those that were given up.
        Failed = "failed",
    }
}

/// A GPU of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(u32);

impl Device {
    /// How many are looked at; machines with more are not built today.
    pub const MOST: u32 = 16;

    pub(crate) const DESCRIPTIONS: &'static [LabelDescription] = &[LabelDescription {
        name: "device",
        values: Values::Found {
            meaning: "The GPU's number on its machine, from 0, as the driver counts.",
            most: Self::MOST as usize,
        },
    }];

    /// The GPU with this number; none from [`MOST`](Self::MOST) on.
    pub const fn new(index: u32) -> Option<Self> {
        if index < Self::MOST { Some(Self(index)) } else { None }
    }

    pub(crate) fn name(self) -> String {
        self.0.to_string()
    }
}
