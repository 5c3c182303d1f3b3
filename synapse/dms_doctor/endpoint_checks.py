"""Checks of the settings of the S3 target endpoint, against what ingest does with its files."""

from __future__ import annotations

from synapse.dms_doctor.findings import Severity
from synapse.dms_doctor.setting_checks import (
    Default,
    SettingCheck,
    among,
    unless,
    when,
)

# Below a megabyte a busy table makes hundreds of files a minute, each opened and hashed.
_SMALLEST_CHANGE_FILE_KB = 1_000
_SHORTEST_BATCH_SECONDS = 60
# An hourly run would not see what was committed in its own hour.
_LONGEST_BATCH_SECONDS = 3_600
_UTC = ("UTC", "Etc/UTC", "Etc/GMT", "GMT", "")


def _batch(value: Default) -> Severity | None:
    within = _SHORTEST_BATCH_SECONDS <= int(value) <= _LONGEST_BATCH_SECONDS
    return None if within else Severity.warning


def _file_size(value: Default) -> Severity | None:
    return Severity.warning if int(value) < _SMALLEST_CHANGE_FILE_KB else None


def _folder(value: Default) -> Severity | None:
    ends_well = f"/{value}".rstrip("/").endswith("/bronze/dms")
    return None if ends_well else Severity.warning


def _timezone(value: Default) -> Severity | None:
    return None if value in _UTC else Severity.warning


def _any(value: Default) -> Severity | None:
    return Severity.error if value else None


S3_CHECKS = (
    SettingCheck(
        "data_format",
        "DataFormat",
        "csv",
        unless("parquet", Severity.error),
        "Ingest reads Parquet alone: CSV has no types, so every file would be refused (rule "
        "readable).",
        "DataFormat = parquet",
    ),
    SettingCheck(
        "task_start_timestamp",
        "UseTaskStartTimeForFullLoadTimestamp",
        False,
        when(True, Severity.error),
        "Every loaded row would carry the start of the task as its transfer time. A reload counts "
        "as complete when its newest transfer time lies 30 minutes back, so a longer one would be "
        "taken while half of it is missing, and the missing rows count as deleted; a table that is "
        "reloaded without a restart of the task looks no newer than what is there, and its files "
        "wait for ever.",
        "UseTaskStartTimeForFullLoadTimestamp = false",
    ),
    SettingCheck(
        "timestamp_milliseconds",
        "ParquetTimestampInMillisecond",
        False,
        when(True, Severity.warning),
        "The source's timestamps lose their microseconds for ever: bronze is the only copy. "
        "Messages and changes within one millisecond are then told apart by key only. Ingest reads "
        "either precision.",
        "ParquetTimestampInMillisecond = false",
    ),
    SettingCheck(
        "op_on_load",
        "IncludeOpForFullLoad",
        False,
        when(False, Severity.warning),
        "Load files come without the column Op. Ingest takes their rows for inserts, by the name "
        "of the file alone: a load file that is copied under another name is refused (rule "
        "known_op), and load and change files have different columns for every other reader.",
        "IncludeOpForFullLoad = true",
    ),
    SettingCheck(
        "inserts_only",
        "CdcInsertsOnly",
        False,
        when(True, Severity.error),
        "Updates and deletes never land: rows stay as they were first written, and without Op "
        "every change file is refused (rule known_op).",
        "CdcInsertsOnly = false",
    ),
    SettingCheck(
        "deletes_left_out",
        "CdcInsertsAndUpdates",
        False,
        when(True, Severity.error),
        "Deletes never land: deleted rows live on in silver and in every figure.",
        "CdcInsertsAndUpdates = false",
    ),
    SettingCheck(
        "preserve_transactions",
        "PreserveTransactions",
        False,
        when(True, Severity.error),
        "DMS writes transactions in order as CSV only, all tables in the files of CdcPath: ingest "
        "looks for Parquet under each table's folder, so no change would be found. DMS refuses it "
        "together with DatePartitionEnabled.",
        "PreserveTransactions = false; order comes from the column of $AR_H_CHANGE_SEQ",
    ),
    SettingCheck(
        "cdc_path",
        "CdcPath",
        "",
        _any,
        "It is the folder for PreserveTransactions, outside the tables' folders that ingest looks "
        "in, and DMS refuses it together with DatePartitionEnabled.",
        "leave CdcPath out",
    ),
    SettingCheck(
        "date_partition",
        "DatePartitionEnabled",
        False,
        when(False, Severity.warning),
        "All change files of a table lie in one folder: ingest finds them, but each listing reads "
        "the whole history instead of the last days.",
        "DatePartitionEnabled = true",
    ),
    SettingCheck(
        "date_partition_sequence",
        "DatePartitionSequence",
        "YYYYMMDD",
        unless("YYYYMMDD", Severity.warning),
        "Ingest lists the folders YYYY/MM/DD of the last days; files in other folders are only "
        "found when everything is listed.",
        "DatePartitionSequence = YYYYMMDD",
    ),
    SettingCheck(
        "date_partition_delimiter",
        "DatePartitionDelimiter",
        "SLASH",
        unless("SLASH", Severity.warning),
        "Ingest lists the folders YYYY/MM/DD of the last days; files in other folders are only "
        "found when everything is listed.",
        "DatePartitionDelimiter = SLASH",
    ),
    SettingCheck(
        "date_partition_timezone",
        "DatePartitionTimezone",
        "",
        _timezone,
        "Folders and file names follow another clock than the commit times, which are UTC: near "
        "midnight a change lies in the folder of another date than its own.",
        "leave DatePartitionTimezone out (UTC)",
    ),
    SettingCheck(
        "bucket_folder",
        "BucketFolder",
        "",
        _folder,
        "Ingest looks in <lake>/bronze/dms/<schema>/<table>. What lands elsewhere is not seen "
        "unless something copies it there.",
        "BucketFolder = <the lake's prefix>/bronze/dms",
    ),
    SettingCheck(
        "public_acl",
        "CannedAclForObjects",
        "none",
        among(("public-read", "public-read-write", "authenticated-read"), Severity.error),
        "Bronze holds names, taxpayer numbers and message texts: with this ACL people outside the "
        "account can read them.",
        "CannedAclForObjects = none, or bucket-owner-full-control across accounts",
    ),
    SettingCheck(
        "batch_interval",
        "CdcMaxBatchInterval",
        60,
        _batch,
        "Below a minute, every table gets thousands of tiny files a day, each to be listed, opened "
        "and hashed; above an hour, an hourly run misses the hour that it is for.",
        "CdcMaxBatchInterval = 60 to 3600 (seconds; 300 suits hourly runs)",
    ),
    SettingCheck(
        "change_file_size",
        "CdcMinFileSize",
        32_000,
        _file_size,
        "A file is written as soon as it has this many KB, whatever the interval: a busy table "
        "would land as a flood of tiny files.",
        "CdcMinFileSize = 32000 (KB)",
    ),
    SettingCheck(
        "string_padding",
        "AddTrailingPaddingCharacter",
        False,
        when(True, Severity.error),
        "DMS would pad text: values and text keys in silver would differ from the source's.",
        "AddTrailingPaddingCharacter = false",
    ),
    SettingCheck(
        "compression",
        "CompressionType",
        "none",
        among(("gzip",), Severity.info),
        "Ingest reads Parquet whose pages are gzip, and refuses a file whose name ends in .gz "
        "(rule readable). Look at the name of the first file that lands.",
        "CompressionType = none, unless the first file ends in .parquet",
    ),
)
"""Each looks at one setting of the endpoint; docs/dms_setup.md has the table of them."""
