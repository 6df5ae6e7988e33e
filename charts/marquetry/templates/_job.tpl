{{/*
The spec of a coordinator's Job; takes what the pod takes. Whether another try can help is what exit codes say: 69 (a
service is away) and 75 (stopped before the end) are tried again, and so is what ends a pod without a code of its own. An
eviction is no try at all.
*/}}
{{- define "marquetry.jobSpec" -}}
backoffLimit: {{ .values.backoffLimit | int64 }}
{{- with .values.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ . | int64 }}
{{- end }}
{{- if not (kindIs "invalid" .values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ .values.ttlSecondsAfterFinished | int64 }}
{{- end }}
completions: 1
parallelism: 1
# The next try begins when the last one is gone, so that no two coordinators take the job from each other.
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    - action: FailJob
      onExitCodes: {containerName: coordinator, operator: In, values: [1, 2, 64, 65, 70, 78]}
template:
  {{- include "marquetry.podTemplate" . | nindent 2 }}
{{- end }}
