"""What the benchmark trains on, as the trainer takes it: a file stays a file, and its encodings are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spf_bench.method import TrainJob
from spf_bench.suite import TrainSample

if TYPE_CHECKING:
    from spf_train.sample import Sample


def as_sample(sample: TrainSample) -> "Sample":
    """Return one sample; what lies in a file is read when it is encoded, not before."""
    from spf_train.sample import Sample

    texts = (sample.base, sample.target, sample.category.value)
    return Sample(sample.image, *texts) if sample.file is None else Sample(sample.file, *texts, file=sample.id)


def samples_of(job: TrainJob) -> "list[Sample]":
    """Return the samples that every method of a job trains on."""
    return [as_sample(sample) for sample in job.samples]


def encodings(job: TrainJob, samples: "Sequence[Sample]") -> Path | None:
    """Return the folder of encodings that all stages, methods and seeds share.

    None for images in memory: they are few, and encoded faster than they are looked up.
    """
    return job.artifacts.root.parent / "encodings" if in_files(samples) else None


def in_files(samples: "Sequence[Sample]") -> bool:
    """Say whether the samples' images lie in files."""
    from numpy import ndarray

    return bool(samples) and not isinstance(samples[0].image, ndarray)
