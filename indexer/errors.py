"""Every error of Hitweave, one tree; each message says what was wrong and what to do.

    HitweaveError
    ├── AskedWrongly          exit 2: the caller must change the request
    │   ├── InvalidSettings
    │   ├── InvalidConfig     an index configuration file
    │   ├── InvalidProduct    one catalogue line
    │   ├── InvalidEvent      one UBI event or query
    │   ├── InvalidRequest    what a search or rerank asks of Hitweave itself
    │   ├── UnknownIndex
    │   └── IncompatibleIndex an existing index that cannot hold what is asked
    ├── CouldNotReach         exit 3: a server or a part is not there
    │   ├── ElasticsearchUnavailable
    │   │   └── AccessDenied  it answers, but not to these credentials
    │   ├── ValkeyUnavailable
    │   ├── KafkaUnavailable
    │   ├── SidecarUnavailable
    │   └── StackFailed       a part of the local stack did not start or stop
    └── AnsweredWrongly       exit 1: a part answered what it must not
        ├── UnsupportedElasticsearch
        ├── InvalidVector
        ├── EncoderUnavailable
        ├── WriteFailed
        ├── InvalidArtifact
        ├── TrainingFailed
        └── ModelBelowPromise

All of them pickle: they take one message and nothing else.
"""


class HitweaveError(Exception):
    """Root of all errors that are ours; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AskedWrongly(HitweaveError):
    """The request cannot be carried out as it stands."""

    exit_code = 2


class InvalidSettings(AskedWrongly):
    """A setting has a value that cannot work, alone or beside another one."""


class InvalidConfig(AskedWrongly):
    """An index configuration file says something that cannot be done."""


class InvalidProduct(AskedWrongly):
    """One catalogue line is rejected; the others go on."""


class InvalidEvent(AskedWrongly):
    """One event or query is rejected; the others go on."""


class InvalidRequest(AskedWrongly):
    """What a request asks of Hitweave itself cannot be understood."""


class UnknownIndex(AskedWrongly):
    """The index, alias or its Hitweave stamp does not exist."""


class IncompatibleIndex(AskedWrongly):
    """An existing index has a mapping that cannot take what is asked of it."""


class CouldNotReach(HitweaveError):
    """A server or process that is needed does not answer."""

    exit_code = 3


class ElasticsearchUnavailable(CouldNotReach):
    """Elasticsearch does not answer at its address."""


class AccessDenied(ElasticsearchUnavailable):
    """Elasticsearch does not accept Hitweave's own credentials, or they may not do this."""


class ValkeyUnavailable(CouldNotReach):
    """Valkey or Redis does not answer at its address."""


class KafkaUnavailable(CouldNotReach):
    """Kafka does not answer at its address, or does not do what it must."""


class SidecarUnavailable(CouldNotReach):
    """The sidecar does not answer at its address."""


class StackFailed(CouldNotReach):
    """A part of the local stack did not start or stop."""


class AnsweredWrongly(HitweaveError):
    """A part answered with something that must not be used."""


class UnsupportedElasticsearch(AnsweredWrongly):
    """The cluster's version is outside the supported range."""


class InvalidVector(AnsweredWrongly):
    """A vector has the wrong length, or is not finite, or has no length."""


class EncoderUnavailable(AnsweredWrongly):
    """The encoder of a recipe cannot be opened here."""


class WriteFailed(AnsweredWrongly):
    """Elasticsearch refused a write for a reason that repeating does not cure."""


class InvalidArtifact(AnsweredWrongly):
    """A model artifact is incomplete, altered, or made for other signals."""


class ModelBelowPromise(AnsweredWrongly):
    """A training run reached less than its schedule promises."""


class TrainingFailed(AnsweredWrongly):
    """A training run over several processes ended without a result."""
