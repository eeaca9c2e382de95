"""What a history must satisfy, one file a check. Pure: all judgement lives here, and a stored run can be judged again."""
