"""A lake of a product whose every day is alike: a history of so many days, and the day after it.

As many messages, conversations, app events and payments a day of as many people, however long the
history is. Each value is a function of a row's number, made by DuckDB straight into the files that
DMS and Kafka Connect would land. The day after brings what is late too: a message and an app event
of the middle of the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.support.messages_lake import write_parquet

# Midnight in Sao Paulo: the history ends here, and the new day begins.
MIDNIGHT = datetime(2026, 1, 1, 3, tzinfo=UTC)
MESSAGES_A_CONVERSATION = 12
MESSAGES_AN_EVENT = 4
MESSAGES_A_PAYMENT = 50
PLANS = 3
ROWS_A_FILE = 500_000
RECORDS_A_FILE = 20_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class DailyLake:
    """Where it lies, how many messages it has a day and how many days."""

    folder: Path
    messages_a_day: int
    days: int

    @property
    def start(self) -> datetime:
        """When the first day begins."""
        return MIDNIGHT - timedelta(days=self.days)

    @property
    def people(self) -> int:
        """How many use the product, from the first day on or later."""
        return max(4 * self.messages_a_day // MESSAGES_A_CONVERSATION, PLANS)

    def land_history(self) -> None:
        """Land full loads of the tables, and the app events."""
        stamp = f"'{MIDNIGHT:%Y-%m-%d %H:%M:%S}.000000' as dms_committed_at, '' as dms_change_seq"
        for table, a_day in self._tables().items():
            rows = self.people if a_day is None else a_day * self.days
            if table == "plans":
                rows = PLANS
            for number, first in enumerate(range(0, rows, ROWS_A_FILE), start=1):
                among = f"range({first}, {min(first + ROWS_A_FILE, rows)}) as numbers(i)"
                path = self._table(table) / f"LOAD{number:08X}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_parquet(
                    path, f"select 'I' as \"Op\", {stamp}, * from ({self._rows(table, among)})"
                )
        self._land_events(0, self._events_a_day * self.days)

    def land_day(self) -> None:
        """Land what the day after the history changes."""
        for table, a_day in self._tables().items():
            if a_day is None:
                continue
            first = a_day * self.days
            among = f"range({first}, {first + a_day}) as numbers(i)"
            rows = self._rows(table, among)
            if table == "messages":
                late = self._rows(table, f"range({first // 2}, {first // 2 + 1}) as numbers(i)")
                rows = (
                    f"{rows} union all select * replace ({first + a_day} as message_id) "
                    f"from ({late})"
                )
            path = self._table(table) / f"{MIDNIGHT:%Y/%m/%d}/{MIDNIGHT:%Y%m%d}-230000000.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_parquet(
                path,
                "select 'I' as \"Op\", strftime(created_at, '%Y-%m-%d %H:%M:%S.%f') as "
                "dms_committed_at, lpad(cast(row_number() over () as varchar), 35, '0') as "
                f"dms_change_seq, * from ({rows})",
            )
        first = self._events_a_day * self.days
        self._land_events(first, first + self._events_a_day)
        self._land_events(first // 2, first // 2 + 1, late_by=first)

    @property
    def _events_a_day(self) -> int:
        return max(self.messages_a_day // MESSAGES_AN_EVENT, 1)

    def _tables(self) -> dict[str, int | None]:
        """Tables with the rows that each has a day; None: those that the history begins with."""
        return {
            "plans": None,
            "users": None,
            "subscriptions": None,
            "payments": max(self.messages_a_day // MESSAGES_A_PAYMENT, 1),
            "conversations": max(self.messages_a_day // MESSAGES_A_CONVERSATION, 1),
            "messages": self.messages_a_day,
        }

    def _table(self, table: str) -> Path:
        return self.folder / "bronze" / "dms" / "synapse" / table

    def _at(self, a_day: int, number: str = "i") -> str:
        """SQL: the moment of a row by its number, evenly spread over the days."""
        return (
            f"timestamp '{self.start:%Y-%m-%d %H:%M:%S}' "
            f"+ to_microseconds(({number}) * {_DAY_US} // {a_day})"
        )

    def _joined(self, person: str) -> str:
        """SQL: when somebody signed up."""
        return (
            f"timestamp '{self.start:%Y-%m-%d %H:%M:%S}' "
            f"+ to_days((hash({person}, 1) % {self.days})::integer)"
        )

    def _writer(self, conversation: str) -> str:
        """SQL: whose a conversation is."""
        return f"(hash({conversation}) % {self.people})::bigint"

    def _rows(self, table: str, among: str) -> str:
        """SQL: rows of a table whose numbers are `i`."""
        a_day = self._tables()[table] or 1
        at = self._at(a_day)
        joined = self._joined("i")
        columns = {
            "plans": "i as plan_id, concat('plan-', i) as plan_code, concat('Plan ', i) as "
            f"plan_name, (i * 1990)::bigint as monthly_price_cents, {self._at(1, '0')} as "
            f"created_at, {self._at(1, '0')} as updated_at",
            "users": "i as user_id, 'Person ' || i as full_name, null::varchar as cpf, "
            "'person' || i || '@example.com' as email, null::varchar as phone, "
            "['SP', 'RJ', 'MG', 'BA'][1 + i % 4] as region, 'BR' as country, 'pt-BR' as language, "
            "['organic', 'referral', 'ads'][1 + i % 3] as acquisition_channel, "
            f"'active' as status, false as is_internal, {joined} as created_at, "
            f"{joined} as updated_at",
            "subscriptions": f"i as subscription_id, i as user_id, i % {PLANS} as plan_id, "
            f"'active' as status, {joined} as started_at, null::timestamp as trial_ends_at, "
            f"null::timestamp as canceled_at, {joined} as created_at, {joined} as updated_at",
            "payments": f"i as payment_id, i % {self.people} as user_id, "
            f"i % {self.people} as subscription_id, 1990::bigint as amount_cents, "
            f"'BRL' as currency, 'paid' as status, {at} as paid_at, {at} as created_at, "
            f"{at} as updated_at",
            "conversations": f"i as conversation_id, {self._writer('i')} as user_id, "
            f"'whatsapp' as channel, 'pt-BR' as language, 'ended' as status, {at} as started_at, "
            f"{at} as ended_at, {at} as created_at, {at} as updated_at",
            "messages": f"i as message_id, i // {MESSAGES_A_CONVERSATION} as conversation_id, "
            f"{self._writer(f'i // {MESSAGES_A_CONVERSATION}')} as user_id, "
            "case when i % 2 = 0 then 'user' else 'assistant' end as role, "
            "substr(repeat(md5(i::varchar), 3), 1, 20 + (hash(i) % 60)::integer) as content, "
            "case when i % 2 = 1 then 'assistant-small' end as model, "
            "(20 + hash(i) % 400)::bigint as token_count, "
            "(((hash(i) % 20001)::integer - 10000) / 10000)::decimal(6, 4) as sentiment, "
            f"{at} as sent_at, {at} as created_at, {at} as updated_at",
        }
        return f"select {columns[table]} from {among}"

    def _land_events(self, first: int, last: int, late_by: int = 0) -> None:
        """Land app events of these numbers; late_by: how many later they were sent."""
        with duckdb.connect() as connection:
            for start in range(first, last, RECORDS_A_FILE):
                moment = self.start + timedelta(days=(start + late_by) // self._events_a_day)
                folder = (
                    self.folder / "bronze/kconnect/topics/app-events"
                    f"/{moment:year=%Y/month=%m/day=%d}/hour=00"
                )
                folder.mkdir(parents=True, exist_ok=True)
                offset = start + late_by + (self._events_a_day if late_by else 0)
                digest = f"md5(concat('event', i + {late_by}))"
                connection.execute(
                    f"""
                    copy (
                        select to_json({{
                            event_id: concat_ws('-', substr(digest, 1, 8), substr(digest, 9, 4),
                                substr(digest, 13, 4), substr(digest, 17, 4),
                                substr(digest, 21, 12)),
                            event_name: ['app_opened', 'api_request', 'screen_viewed',
                                'checkout_started'][1 + i % 4],
                            user_id: person, anonymous_id: concat('device-', person),
                            occurred_at: strftime(moment, '%Y-%m-%dT%H:%M:%S.%f+00:00'),
                            platform: 'ios', app_version: '4.2.0', region: 'SP', country: 'BR',
                            properties: {{
                                screen: 'home', status: case when i % 4 = 1 then 200 end
                            }}
                        }})::varchar as line
                        from (
                            select i, {digest} as digest, {self._at(self._events_a_day)} as moment,
                            (hash(i, 'person') % {self.people})::bigint as person
                            from range({start}, {min(start + RECORDS_A_FILE, last)}) as numbers(i)
                        ) order by i
                    ) to '{folder}/app-events+0+{offset:010d}.json'
                    (format csv, header false, quote '', delimiter e'\\x01', escape '')
                    """
                )
