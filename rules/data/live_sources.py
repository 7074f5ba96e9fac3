"""Sources whose content changes from day to day: tables of running databases, services, streams (MLD605)."""

from __future__ import annotations

import re
from functools import cached_property

from mldebt_rules.glue.paths import Paths
from mldebt_rules.glue.patterns import plain
from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Build, Call, Const, Expr
from mldebt.facts.walk import walk
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from . import queries
from .mutations import called, owner
from .provenance import Provenance

_QUERIES = frozenset(
    {
        "pandas.read_sql",
        "pandas.read_sql_query",
        "pandas.read_sql_table",
        "pandas.read_gbq",
        "pandas_gbq.read_gbq",
        "polars.read_database",
        "polars.read_database_uri",
        "awswrangler.athena.read_sql_query",
        "awswrangler.redshift.read_sql_query",
        "connectorx.read_sql",
    }
)
_REQUESTS = frozenset(
    {"requests.get", "requests.post", "httpx.get", "httpx.post", "urllib.request.urlopen", "requests.Session.get"}
)
_STREAMS = frozenset({"kafka.KafkaConsumer", "confluent_kafka.Consumer", "aiokafka.AIOKafkaConsumer"})
_METHODS = frozenset({"execute", "query", "sql"})
# What a connection to a running database is made by; a file is no such thing.
_SERVERS = re.compile(
    r"^(?:psycopg2?|pymysql|MySQLdb|mysql\.connector|snowflake\.connector|clickhouse_driver|clickhouse_connect|pyodbc|"
    r"cx_Oracle|oracledb|redshift_connector|trino|prestodb|databricks\.sql|google\.cloud\.bigquery|vertica_python|"
    r"sqlalchemy|pyspark|teradatasql|pymssql|ibm_db|asyncpg|pyhive|impala)\b"
)
_FILES = re.compile(r"^(?:sqlite3|duckdb|apsw)\b")
_TIME = (
    r"[\w.\"`]*(?:date|time|_at|_ts|_on|day|month|year|week|created|updated|period|\bts\b|\bdt\b|\bds\b|version|snapshot|partition|batch|run|load|epoch)"
    r"\w*[\"`)]*"
)
_BOUND = re.compile(
    rf"\bversion\b|snapshot|{_TIME}\s*(?:::\w+\s*)?(?:<=?|=|>=?|\bbetween\b|\bin\b|\blike\b)",
    re.IGNORECASE,
)
# A date, or what is filled in when the query runs.
_GIVEN = re.compile(r"'\d{4}-?\d\d|(?<!:):[a-z_]\w*|%s|%\(\w+\)s|\?|@[a-z_]\w*|\$\d", re.IGNORECASE)
_VERSIONED = re.compile(r"\bas\s+of\b|system_time|versionasof|timestampasof|@v\d|tablesample|\?snapshot", re.IGNORECASE)
_NOW = re.compile(r"\bnow\s*\(|current_(?:date|timestamp|time)|getdate\s*\(|sysdate|today\s*\(|utcnow", re.IGNORECASE)
_FROZEN = re.compile(
    r"snapshot|frozen|archive|export|_v\d|(?:19|20)\d\d|\d{6}|fixture|sample|static|dim_|backup|public-data",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"\.(?:csv|tsv|zip|gz|tgz|bz2|xz|tar|parquet|feather|npz?|npy|xlsx?|txt|data|mat|h5|pkl|jsonl?|arff|pt|bin|ya?ml|html?)\b"
)
# Hosts of files that stay as they are, or that another rule looks at.
_HOSTS = re.compile(
    r"zenodo|figshare|archive\.|huggingface|kaggle|dataverse|osf\.io|github|gitlab|amazonaws|storage\.googleapis|"
    r"blob\.core|openml|drive\.google|dropbox|localhost|127\.0\.0\.1"
)
_PINNED = re.compile(
    r"(?:19|20)\d\d-?\d\d|[0-9a-f]{40}|/v?\d+\.\d+\.\d+/|(?:end|until|to|before|as_?of|snapshot|version)\w*="
)


class Source(Struct, frozen=True):
    """``what`` is read, as a message says it; ``why`` its content moves."""

    what: str
    why: str


class LiveSources(Analysis):
    """Answers whether a call reads something that is different tomorrow; when in doubt it does not."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._provenance = project[Provenance]

    @cached_property
    def spellings(self) -> frozenset[str]:
        """The identifiers a call of one may use."""
        return self.project.spellings(_QUERIES | _REQUESTS | _STREAMS) | _METHODS | {"table"}

    def of(self, module: Module, scope: int, call: Call) -> Source | None:
        last = called(module, scope, call.function)
        if last in _METHODS:
            return self._executed(module, scope, call)
        names = module.names(scope, call.function)
        if any(name in _QUERIES for name in names):
            connection = argument(call, "con", 1)
            given = None if connection is None or connection is UNKNOWN else connection
            if last == "read_gbq" or self._is_server(module, scope, given, sure=False):
                return self._query(module, scope, call.args[0] if call.args else None, call)
            return None
        if any(name in _REQUESTS for name in names):
            return self._request(module, scope, call)
        if any(name in _STREAMS for name in names):
            topics = [module.constant(scope, arg) for arg in call.args]
            topic = next((one for one in topics if isinstance(one, str)), "")
            return Source(f"the stream {topic}".rstrip(), "a stream goes on")
        if last == "table":
            return self._table(module, scope, call)
        return None

    def _executed(self, module: Module, scope: int, call: Call) -> Source | None:
        """``cursor.execute(query)``, ``client.query(query)``, ``spark.sql(query)``."""
        held = owner(call.function)
        if held is None or not self._is_server(module, scope, held):
            return None
        return self._query(module, scope, call.args[0] if call.args else None, call)

    def _is_server(self, module: Module, scope: int, connection: Expr | None, sure: bool = True) -> bool:
        """Whether a connection leads to a running database; not ``sure``: whether it may, and to no file."""
        if connection is None:
            return False
        value = module.constant(scope, connection)
        if isinstance(value, str):
            return "://" in value and not value.startswith(("sqlite", "duckdb", "file"))
        starts = self._provenance.of(module, scope, connection, self._connects)
        kinds = {start.kind for start in starts}
        return "file" not in kinds and ("server" in kinds or not sure)

    def _connects(self, module: Module, scope: int, call: Call) -> str:
        for name in module.names(scope, call.function):
            if _FILES.match(name):
                return "file"
            if _SERVERS.match(name):
                return self._engine(module, scope, call) if name.endswith("create_engine") else "server"
            if name.startswith("streamlit."):
                return "server"
        return ""

    def _engine(self, module: Module, scope: int, call: Call) -> str:
        texts = self.project[Paths].texts(module, scope, call.args[0]) if call.args else ()
        return "file" if any(plain(text).startswith(("sqlite", "duckdb")) for text in texts) else "server"

    def _query(self, module: Module, scope: int, given: Expr | None, call: Call) -> Source | None:
        text = queries.text_of(module, scope, given)
        if not text or any(keyword.name == "params" for keyword in call.keywords):
            return None
        if " " not in text.strip():
            return None if _FROZEN.search(text) else Source(f"the table {text.strip()}", "the whole table is taken")
        tables, _ = queries.read(text)
        if not tables or any(_FROZEN.search(name) for name in tables) or "*" in tables[0]:
            return None
        condition = queries.condition(text)
        if (_BOUND.search(condition) or _GIVEN.search(condition)) and not _NOW.search(condition):
            return None
        if _VERSIONED.search(text):
            return None
        why = "its rows are bounded by the time of the query" if _NOW.search(condition) else "no time bounds its rows"
        return Source(f"the table {tables[0]}", why)

    def _table(self, module: Module, scope: int, call: Call) -> Source | None:
        value = module.constant(scope, call.args[0]) if call.args else None
        held = owner(call.function)
        if (
            not isinstance(value, str)
            or _FROZEN.search(value)
            or held is None
            or not self._is_server(module, scope, held)
        ):
            return None
        texts = [node.value for node in walk(held) if isinstance(node, Const) and isinstance(node.value, str)]
        if any(_VERSIONED.search(text) for text in texts):
            return None
        return Source(f"the table {value}", "the whole table is taken")

    def _request(self, module: Module, scope: int, call: Call) -> Source | None:
        given = argument(call, "url", 0)
        if given is None or given is UNKNOWN:
            return None
        if isinstance(given, Call) and given.args:
            given = given.args[0]
        texts = [plain(text) for text in self.project[Paths].texts(module, scope, given)]
        if len(texts) != 1 or not texts[0].startswith(("http://", "https://")):
            return None
        url = texts[0]
        if _FILE.search(url) or _PINNED.search(url) or _HOSTS.search(url):
            return None
        keywords = {keyword.name for keyword in call.keywords}
        if None in keywords or ("params" in keywords and self._is_pinned(module, scope, call)):
            return None
        return Source(url.partition("?")[0], "a service answers with what it has today")

    @staticmethod
    def _is_pinned(module: Module, scope: int, call: Call) -> bool:
        """Whether the parameters of a request may bound it in time."""
        given = argument(call, "params")
        if not isinstance(given, Build) or given.kind != "dict":
            return True
        names = [module.constant(scope, key) if key is not None else UNKNOWN for key in given.keys]
        return any(not isinstance(name, str) or _PINNED.search(f"{name}=") for name in names)
