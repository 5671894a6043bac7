{{- /* The name of every object, or the beginning of it. */ -}}
{{- define "apono-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "apono-operator.account" -}}
{{- .Values.serviceAccount.name | default (include "apono-operator.name" .) -}}
{{- end -}}

{{- /* By these the pods are found; they never change. */ -}}
{{- define "apono-operator.selector" -}}
app.kubernetes.io/name: apono-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "apono-operator.labels" -}}
{{ include "apono-operator.selector" . }}
{{ include "apono-operator.common" . }}
{{- end -}}

{{- define "apono-operator.common" -}}
app.kubernetes.io/part-of: apono-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The simulator of the demo: pods of its own. */ -}}
{{- define "apono-operator.demoSelector" -}}
app.kubernetes.io/name: apono-simulator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The pod of `helm test`, which is none of the operator's. */ -}}
{{- define "apono-operator.checkSelector" -}}
app.kubernetes.io/name: apono-operator-check
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Whom the operator may call, as the `egress` of a policy. */ -}}
{{- define "apono-operator.egress" -}}
# Names.
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
# The apiserver and Apono: policies know no host names.
- ports:
    {{- range .Values.networkPolicy.egressPorts }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{- /* A whole image name: of a map with repository, tag and digest, and of the chart. */ -}}
{{- define "apono-operator.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* The settings, the same for the operator and for its check. */ -}}
{{- define "apono-operator.env" -}}
- name: LOG_FORMAT
  value: {{ .Values.log.format }}
{{- if ne .Values.log.filter "info" }}
- name: RUST_LOG
  value: {{ .Values.log.filter | quote }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.clusterName }}
- name: CLUSTER_NAME
  value: {{ . | quote }}
{{- end }}
{{- with .Values.allowedEndpoints }}
- name: ALLOWED_ENDPOINTS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.allowedNetworks }}
- name: ALLOWED_NETWORKS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.proxy }}
- name: REMOTE_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.ttlOwnerLabels }}
- name: TTL_OWNER_LABELS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.remoteTimeout }}
- name: REMOTE_TIMEOUT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.kubeTimeout }}
- name: KUBE_TIMEOUT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.leaseDuration }}
- name: LEASE_DURATION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.relistInterval }}
- name: RELIST_INTERVAL
  value: {{ . | quote }}
{{- end }}
{{- if ne (int .Values.concurrency) 64 }}
- name: CONCURRENCY
  value: {{ .Values.concurrency | quote }}
{{- end }}
{{- if .Values.metrics.perObject }}
- name: PER_OBJECT_METRICS
  value: "true"
{{- end }}
{{- if .Values.extraCAs.configMap }}
# Both are read. Beside those of the image, where images have them.
- name: SSL_CERT_DIR
  value: /etc/ssl/certs:/etc/apono-operator/ca
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* What a container may do on its node: nothing. */ -}}
{{- define "apono-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* A binding of a role of the same name to the operator: of a map with context, kind, name. */ -}}
{{- define "apono-operator.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "apono-operator.labels" .context | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "apono-operator.account" .context }}
    namespace: {{ .context.Release.Namespace }}
{{- end -}}

{{- /* What the schema cannot say: values that exclude or need each other. */ -}}
{{- define "apono-operator.check" -}}
{{- if .Values.watchNamespaces -}}
{{- if not .Values.clusterName -}}
{{- fail "watchNamespaces is set and clusterName is not: nothing of the cluster is read then, so give it the name that approvers shall see, unlike that of any other cluster" -}}
{{- end -}}
{{- if .Values.connection.create -}}
{{- fail "connection.create makes a ClusterAponoConnection, which is not served with watchNamespaces: leave it false, and make an AponoConnection in each namespace" -}}
{{- end -}}
{{- if .Values.demo.enabled -}}
{{- fail "demo.enabled is for a ClusterAponoConnection, which is not served with watchNamespaces: leave one of them out" -}}
{{- end -}}
{{- if .Values.namespacedConnections -}}
{{- fail "namespacedConnections grants the whole cluster what watchNamespaces already grants in each of its namespaces: leave it false" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.demo.enabled .Values.proxy -}}
{{- fail "demo.enabled runs an Apono inside of the cluster, which no proxy leads to: leave proxy empty" -}}
{{- end -}}
{{- if and .Values.connection.create (not .Values.connection.token.secretName) -}}
{{- fail "connection.create needs connection.token.secretName: the name of a Secret in the namespace of the release that holds the token" -}}
{{- end -}}
{{- end -}}

{{- /* What a cluster has to say to a connection. Helm looks up the kind of every object before it makes the
first, so the definitions have to be there; and Helm 3 leaves the spec of an object that it takes over as it
is, without a word. Offline nothing is known, and nothing is said. */ -}}
{{- define "apono-operator.connectionCheck" -}}
{{- $name := .Values.connection.name -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}
{{- if not (.Capabilities.APIVersions.Has "access.apono.io/v1alpha1/ClusterAponoConnection") -}}
{{- fail "connection.create is true, and this cluster does not know the kind ClusterAponoConnection yet: install with connection.create=false first, which brings the definitions, then upgrade with connection.create=true" -}}
{{- end -}}
{{- $live := lookup "access.apono.io/v1alpha1" "ClusterAponoConnection" "" $name -}}
{{- if and $live (semverCompare "<4.0.0-0" .Capabilities.HelmVersion.Version) -}}
{{- $owner := get ($live.metadata.annotations | default dict) "meta.helm.sh/release-name" -}}
{{- $isTaken := or .Release.IsInstall (not $owner) -}}
{{- $spec := include "apono-operator.connectionSpec" . | fromYaml -}}
{{- if and $isTaken (not (deepEqual $spec $live.spec)) -}}
{{- fail (printf "ClusterAponoConnection %s is there with another spec than these values make, and Helm 3 would leave it so: delete it or make it equal first, or use Helm 4" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "apono-operator.connectionSpec" -}}
{{- with .Values.connection.endpoint }}
endpoint: {{ . }}
{{- end }}
tokenSecretRef:
  name: {{ .Values.connection.token.secretName }}
  key: {{ .Values.connection.token.key }}
{{- with .Values.connection.caBundle }}
caBundle: {{ . | b64enc }}
{{- end }}
{{- with .Values.connection.allow }}
allow:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
