"""`python parse.py OUT`: what a real Airflow makes of synapse_dags.py, as JSON in OUT.

Run by Airflow's own environment (synapse_tests/test_airflow.py).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

bag = DagBag(str(Path(__file__).parent / "synapse_dags.py"))
found = {
    "errors": {str(path): error for path, error in bag.import_errors.items()},
    "dags": {
        dag.dag_id: {
            "timetable": type(dag.timetable).__name__,
            "cron": dag.timetable.expression,
            "timezone": str(dag.timetable.timezone),
            "catchup": dag.catchup,
            "commands": [task.bash_command for task in dag.tasks],
            "timeouts": [task.execution_timeout.total_seconds() for task in dag.tasks],
        }
        for dag in bag.dags.values()
    },
}
Path(sys.argv[1]).write_text(json.dumps(found))
