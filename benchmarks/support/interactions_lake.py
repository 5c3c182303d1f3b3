"""A lake whose every day is alike, as long as one likes: tables, events and documents.

Each value is a function of a row's number, so that the last day of a long history has as many rows
of as many people as the last day of a short one. People are active for the 30 days after they
signed up. Made by DuckDB; land() puts files where DMS and Kafka Connect put them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

# Rows a day.
USERS, SUBSCRIPTIONS, PAYMENTS, CONVERSATIONS, MESSAGES, EVENTS, DOCUMENTS = (
    50, 20, 30, 200, 2400, 2000, 48,
)  # fmt: skip
PLANS = 3
ACTIVE_DAYS = 30
DAYS_A_FILE = 10


@dataclass(frozen=True)
class Span:
    """Time that lands at once: [first, last) in seconds since the history's start."""

    origin: datetime
    first: int
    last: int

    def ids(self, a_day: int) -> str:
        """SQL: numbers `i` of the rows that are created in the span, `a_day` of them a day."""
        bounds = (second * a_day // 86_400 for second in (self.first, self.last))
        return "range({}, {}) as numbers(i)".format(*bounds)

    def at(self, a_day: int, number: str = "i") -> str:
        """SQL: when the row of a number is created."""
        return f"(timestamp '{self.origin}' + to_microseconds(({number}) * 86400000000 // {a_day}))"

    @property
    def end(self) -> datetime:
        """The moment when the span ends."""
        return self.origin + timedelta(seconds=self.last)


def _user(a_day: int, number: str = "i") -> str:
    """SQL: somebody who has signed up in the 30 days before the row's moment."""
    newest = f"(({number}) * {USERS} // {a_day})"
    return f"greatest({newest} - (hash({number}, 'user') % {USERS * ACTIVE_DAYS})::bigint, 0)"


def _rows(span: Span, table: str, number: str = "i", version: str = "0") -> str:
    """SQL: the columns of a row, from its number and version."""
    stamps = (
        f"{span.at(DAILY[table], number)} as created_at, "
        f"{span.at(DAILY[table], number)} + to_minutes({version}) as updated_at"
    )
    created = span.at(DAILY[table], number)
    text = f"md5(concat({number}, ':', {version}))"
    user = _user(DAILY[table], number)
    columns = {
        "plans": f"{number} as plan_id, concat('plan-', {number}) as plan_code, "
        f"concat('Plan ', {number}) as plan_name, ({number} * 1990)::bigint as monthly_price_cents",
        "users": f"{number} as user_id, concat('Person ', {text}) as full_name, "
        f"lpad(cast({number} as varchar), 11, '0') as cpf, "
        f"concat({text}, '@example.com') as email, "
        f"concat('+55119', lpad(cast({number} as varchar), 8, '0')) as phone, "
        f"(['SP', 'RJ', 'MG', 'BA'])[1 + ({number} + {version}) % 4] as region, 'BR' as country, "
        "'pt-BR' as language, 'organic' as acquisition_channel, 'active' as status, "
        "false as is_internal",
        "subscriptions": f"{number} as subscription_id, {user} as user_id, "
        f"({number} % {PLANS})::bigint as plan_id, case when {version} = 0 then 'active' else "
        f"'past_due' end as status, {created} as started_at, "
        "null::timestamp as trial_ends_at, null::timestamp as canceled_at",
        "payments": f"{number} as payment_id, {user} as user_id, "
        f"({number} * {SUBSCRIPTIONS} // {PAYMENTS})::bigint as subscription_id, "
        "1990::bigint as amount_cents, 'BRL' as currency, case when "
        f"{version} = 0 then 'paid' else 'refunded' end as status, {created} as paid_at",
        "conversations": f"{number} as conversation_id, {user} as user_id, 'web' as channel, "
        f"'pt-BR' as language, case when {version} = 0 then 'open' else 'closed' end as status, "
        f"{created} as started_at, {created} + to_minutes({version}) as ended_at",
        "messages": f"{number} as message_id, "
        f"({number} * {CONVERSATIONS} // {MESSAGES})::bigint as conversation_id, "
        f"{_user(CONVERSATIONS, f'({number} * {CONVERSATIONS} // {MESSAGES})')} as user_id, "
        f"case when {number} % 2 = 0 then 'user' else 'assistant' end as role, "
        f"concat({text}, md5({text}), md5(concat({text}, '-'))) as content, "
        f"case when {number} % 2 = 1 then 'assistant-small' end as model, "
        f"(20 + hash({number}, {version}) % 400)::bigint as token_count, "
        f"(((hash({number}) % 20001)::integer - 10000) / 10000)::decimal(6, 4) as sentiment, "
        f"{created} as sent_at",
    }
    return f"{columns[table]}, {stamps}"


DAILY = {
    "plans": 1,
    "users": USERS,
    "subscriptions": SUBSCRIPTIONS,
    "payments": PAYMENTS,
    "conversations": CONVERSATIONS,
    "messages": MESSAGES,
}


def land_history(lake: Path, origin: datetime, days: int) -> Span:
    """Land so many days; returns the span that ends where the next one begins."""
    connection = duckdb.connect()
    for number, first in enumerate(range(0, days, DAYS_A_FILE)):
        span = Span(origin, first * 86_400, min(first + DAYS_A_FILE, days) * 86_400)
        _land(connection, lake, span, number, with_plans=first == 0)
    connection.close()
    return Span(origin, 0, days * 86_400)


def land_hour(lake: Path, origin: datetime, start: int, reach_days: int, old: int = 0) -> Span:
    """Land the hour that starts at second `start`: what is created, and changes of what there is.

    Of each table a tenth as many updates as it creates in a day go to keys of the last `reach_days`
    days, evenly spread, and of messages a few deletes that tell nothing but the key. old: so many
    updates more, of messages that are older than that, evenly spread; as many of the oldest events
    are delivered again, and as many of the oldest visitors sign in.
    """
    connection = duckdb.connect()
    span = Span(origin, start, start + 3600)
    _land(connection, lake, span, start, with_plans=False, updates=reach_days, old=old)
    connection.close()
    return span


def land_backfill(lake: Path, origin: datetime, start: int, months: int) -> None:
    """Land, at second `start`, a payment of each of so many months before the history began."""
    span = Span(origin, start, start)
    folder = lake / "bronze/dms/synapse/payments" / f"{span.end:%Y/%m/%d}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = _rows(span, "payments", "1000000000 + i").replace(
        span.at(PAYMENTS, "1000000000 + i"), f"(timestamp '{origin}' - to_months(1 + i))"
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 'I' as \"Op\", '{span.end:%Y-%m-%d %H:%M:%S.%f}' as dms_committed_at, "
            f"lpad(cast({start}::bigint * 100000000 + 90000000 + i as varchar), 35, '0') as "
            f"dms_change_seq, {columns} from range({months}) as numbers(i)) to "
            f"'{folder}/{span.end:%Y%m%d-%H%M%S}900.parquet' (format parquet)"
        )


def _land(
    connection: duckdb.DuckDBPyConnection,
    lake: Path,
    span: Span,
    number: int,
    *,
    with_plans: bool,
    updates: int = 0,
    old: int = 0,
) -> None:
    for table, a_day in DAILY.items():
        if table == "plans":
            if not with_plans:
                continue
            created = f"range({PLANS}) as numbers(i)"
        else:
            created = span.ids(a_day)
        changes = [f"select 'I' as op, i, 0 as version from {created}"]
        now = span.first * a_day // 86_400
        if updates and table != "plans":
            reach = min(a_day * updates, now)
            count = max(a_day // 10, 2)
            changes.append(
                f"select 'U' as op, {now} - 1 - n * {reach} // {count} as i, {number} as version "
                f"from range({count}) as numbers(n)"
            )
            if table == "messages":
                changes.append(
                    f"select 'D' as op, {now} - 2 - n * {reach} // 5 as i, {number} as version "
                    "from range(5) as numbers(n)"
                )
                if old:
                    changes.append(
                        f"select 'U' as op, n * ({now} - {reach}) // {old} + 1 as i, "
                        f"{number} as version from range({old}) as numbers(n)"
                    )
        union = " union all ".join(changes)
        committed = (
            f"case when op = 'I' then {span.at(a_day)} else timestamp '{span.end}' "
            "- to_seconds(1) end"
        )
        folder = lake / "bronze/dms/synapse" / table / f"{span.end:%Y/%m/%d}"
        folder.mkdir(parents=True, exist_ok=True)
        names = [
            row[0]
            for row in connection.execute(
                f"describe select {_rows(span, table)} from range(1) as t(i)"
            ).fetchall()
        ]
        key = names[0]
        columns = ", ".join(
            name if name == key else f"case when op <> 'D' then {name} end as {name}"
            for name in names
        )
        connection.execute(
            f"copy (select op as \"Op\", strftime({committed}, '%Y-%m-%d %H:%M:%S.%f') as "
            f"dms_committed_at, lpad(cast({number}::bigint * 100000000 + row_number() over "
            f"(order by {committed}, i) as varchar), 35, '0') as dms_change_seq, {columns} from "
            f"(select op, i, {_rows(span, table, version='version')} from ({union}))) to "
            f"'{folder}/{span.end:%Y%m%d-%H%M%S}000.parquet' (format parquet)"
        )
    _land_records(connection, lake, span, "app-events", EVENTS, _EVENT, old)
    _land_records(connection, lake, span, "conversations", DOCUMENTS, _DOCUMENT)


_EVENT = """{{
    event_id: uuid_text,
    event_name: (['app_opened', 'login', 'screen_viewed', 'api_request'])[1 + i % 4],
    user_id: case when i % 10 > 0 or visitor is not null then {user} end,
    anonymous_id: case when visitor is not null then concat('visitor-', visitor)
        when i % 10 = 0 then concat('visitor-', i) else concat('device-', {user}) end,
    occurred_at: strftime({at}, '%Y-%m-%dT%H:%M:%S.%f+00:00'),
    platform: 'ios', app_version: '4.2.0', region: 'SP', country: 'BR',
    properties: {{
        screen: 'home', status: case when i % 4 = 3 then 200 end, trace: md5(concat('t', i))
    }}
}}"""
_DOCUMENT = """{{
    _id: uuid_text, userId: {user}, createdAt: strftime({at}, '%Y-%m-%dT%H:%M:%S.%f+00:00'),
    messages: list_transform(range(6), n -> {{
        role: case when n % 2 = 0 then 'user' else 'assistant' end,
        content: concat(md5(concat(i, '/', n)), md5(concat(n, '/', i))),
        timestamp: strftime({at} + to_seconds(n * 20), '%Y-%m-%dT%H:%M:%S.%f+00:00'),
        metadata: {{model: 'assistant-small', tokens: 30 + n, sentiment: 0.25}}
    }}),
    metadata: {{channel: 'web', language: 'pt-BR', tags: ['a']}}
}}"""


def _land_records(
    connection: duckdb.DuckDBPyConnection,
    lake: Path,
    span: Span,
    topic: str,
    a_day: int,
    form: str,
    old: int = 0,
) -> None:
    first = span.first * a_day // 86_400
    folder = lake / "bronze/kconnect/topics" / topic / f"{span.end:year=%Y/month=%m/day=%d/hour=%H}"
    folder.mkdir(parents=True, exist_ok=True)
    record = form.format(user=_user(a_day), at=span.at(a_day))
    digest = f"md5(concat('{topic}', i, '/', visitor))"
    uuid = "concat_ws('-', {})".format(
        ", ".join(
            f"substr({digest}, {start}, {length})"
            for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
    )
    connection.execute(
        f"copy (select to_json({record})::varchar as line from (select i, visitor, {uuid} as "
        f"uuid_text from (select i, null::bigint as visitor from {span.ids(a_day)} union all "
        f"select n * 7, null from range({old}) as repeated(n) union all "
        f"select {first} - 1 - n * 10 - {span.first} % 9, n * 10 from range({old}) as signed_in(n)"
        f")) order by i) to '{folder}/{topic}+0+{first:010d}.json' "
        "(format csv, header false, quote '', delimiter e'\\x01', escape '')"
    )
