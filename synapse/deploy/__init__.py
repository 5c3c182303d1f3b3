"""The road to AWS: templates that follow from schedules.yml, and the Lambda that they call."""
