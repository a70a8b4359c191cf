"""How the learned head of the alarm detector is trained: synthetic alarms in real noise."""
